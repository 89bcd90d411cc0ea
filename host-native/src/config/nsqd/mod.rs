//! The options of nsqd: one table, and (`check`) what must hold between them.
//!
//! Names, defaults and config keys are those of nsqd 1.3.0 (`apps/nsqd/options.go`, `nsqd/options.go`); the last two
//! groups are ours. The file is long because the table is: the texts below are also the help page and the docs.

mod check;
mod start;
mod types;

pub use check::{InvalidOptions, PutError};
pub use start::{begin, start};
pub use types::{PublishAck, TlsClientAuthPolicy, TlsRequired, TlsVersion};

use super::flags::options;
use super::{ListenAddress, Percentiles, Program, hostname};
use crate::log::{LogFormat, LogLevel};
use md5::{Digest, Md5};
use std::path::PathBuf;
use std::time::Duration;

const PROGRAM: Program = Program {
    name: "nsqd",
    title: "receives, queues and delivers messages",
    about: "\
        Producers publish messages to topics. Each topic copies every message to its channels; each channel hands \
        every message to one of its consumers, and again to another one if the first does not finish it in time. \
        Topics and channels come into being when they are first named.

        A flag is written --flag=value or --flag value, with one dash or two. Switches stand alone; --flag=false \
        turns one off. Durations look like 250ms, 5s or 1h30m. Any flag may stand in the config file instead, as \
        flag_name = value; the command line wins.",
    examples: &[
        ("nsqd", "Listens on ports 4150 (clients) and 4151 (HTTP), keeps its files in this directory."),
        (
            "nsqd --data-path=/var/nsqd --lookupd-tcp-address=find1:4160 --broadcast-address=queue1",
            "One of a cluster: consumers find it through nsqlookupd, under the name queue1.",
        ),
        ("curl -d 'hello' 'http://127.0.0.1:4151/pub?topic=greetings'", "Publishes a first message."),
    ],
};

options! {
    /// Everything nsqd can be told when it starts.
    ///
    /// Fields hold what was asked for; [`NsqdOptions::checked`] says whether it makes sense.
    pub struct NsqdOptions for PROGRAM;

    group "Basics": "Where to read options from, and what to say." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "config" <"FILE"> = Config, "Reads options from this TOML file. Names are flags with underscores: msg_timeout = \"30s\".";
        "data-path" <"DIR"> => data_path: PathBuf = PathBuf::new(),
            "Where messages that do not fit into memory, and the list of topics, are kept. The working directory if empty. Two nsqd cannot share one.";
        "node-id" key "id" => id: i64 = default_node_id(),
            "Number of this nsqd, 0 to 1023, part of every message ID. Give each node of a cluster another one to keep IDs distinct; the default is made from the host's name.";
        "log-level" => log_level: LogLevel = LogLevel::Info,
            "The least grave lines to log. Can be changed while running: PUT /config/log_level.";
        "log-prefix" => log_prefix: String = "[nsqd] ".to_owned(),
            "What each log line starts with.";
    }

    group "Listening": "Where clients find this nsqd: host:port, :port for every interface, or the path of a Unix socket." {
        "tcp-address" => tcp_address: ListenAddress = ListenAddress::tcp("0.0.0.0", 4150),
            "Where producers and consumers connect.";
        "http-address" => http_address: Option<ListenAddress> = Some(ListenAddress::tcp("0.0.0.0", 4151)),
            "Where the HTTP API answers. Empty turns it off.";
        "https-address" => https_address: Option<ListenAddress> = Some(ListenAddress::tcp("0.0.0.0", 4152)),
            "Where the HTTP API answers with TLS. Only with --tls-cert and --tls-key.";
    }

    group "Discovery": "How consumers learn of this nsqd from nsqlookupd." {
        "lookupd-tcp-address" <"HOST:PORT"> key "nsqlookupd_tcp_addresses" => lookupd_tcp_addresses: Vec<String> = Vec::new(),
            "An nsqlookupd to register topics and channels with. Name all of them.";
        "broadcast-address" <"HOST"> => broadcast_address: String = hostname(),
            "The name or address that consumers are told to connect to. It must mean this machine everywhere in the cluster; the default is the host's name.";
        "broadcast-tcp-port" <"PORT"> => broadcast_tcp_port: u16 = 0,
            "The port consumers are told. 0 stands for the port of --tcp-address.";
        "broadcast-http-port" <"PORT"> => broadcast_http_port: u16 = 0,
            "The HTTP port others are told. 0 stands for the port of --http-address.";
        "http-client-connect-timeout" => http_client_connect_timeout: Duration = Duration::from_secs(2),
            "How long connecting to nsqlookupd or an auth server over HTTP may take.";
        "http-client-request-timeout" => http_client_request_timeout: Duration = Duration::from_secs(5),
            "How long a request to nsqlookupd or an auth server may take.";
        "topology-region" <"NAME"> => topology_region: String = String::new(),
            "The region this nsqd is in, a larger area made of zones. Consumers in the same region are preferred to those elsewhere.";
        "topology-zone" <"NAME"> => topology_zone: String = String::new(),
            "The zone this nsqd is in, such as a rack or a data centre. Consumers in the same zone are preferred to all others.";
    }

    group "Memory and disk": "A topic or channel keeps this much in memory and the rest in files." {
        "mem-queue-size" => mem_queue_size: u64 = 10_000,
            "Messages that each topic and each channel keeps in memory; more go to disk. 0 sends all of them to disk.";
        "max-bytes-per-file" <"BYTES"> => max_bytes_per_file: u64 = 100 * 1024 * 1024,
            "Size at which a queue goes on in a new file. Files are deleted once read.";
        "sync-every" => sync_every: u64 = 2500,
            "Sync a queue's files after this many writes or reads.";
        "sync-timeout" => sync_timeout: Duration = Duration::from_secs(2),
            "Sync a queue's files at least this often while there is something to sync.";
    }

    group "Messages": "What a client may send, and how long it may keep a message." {
        "msg-timeout" => msg_timeout: Duration = Duration::from_secs(60),
            "How long a consumer has to finish a message before it is delivered again. A consumer may ask for another time.";
        "max-msg-timeout" => max_msg_timeout: Duration = Duration::from_secs(15 * 60),
            "The longest time a consumer may ask for or keep a message with TOUCH.";
        "max-req-timeout" => max_req_timeout: Duration = Duration::from_secs(60 * 60),
            "The longest delay for which a message may be deferred or requeued.";
        "max-msg-size" <"BYTES"> => max_msg_size: u64 = 1024 * 1024,
            "Size of the largest message.";
        "max-body-size" <"BYTES"> => max_body_size: u64 = 5 * 1024 * 1024,
            "Size of the largest command body, such as all messages of one MPUB together.";
    }

    group "Connections": "Bounds on what a client may ask for when it identifies itself." {
        "max-heartbeat-interval" => max_heartbeat_interval: Duration = Duration::from_secs(60),
            "The longest time between heartbeats a client may ask for.";
        "max-rdy-count" => max_rdy_count: u64 = 2500,
            "The most messages a consumer may want to have at once.";
        "max-output-buffer-size" <"BYTES"> => max_output_buffer_size: u64 = 64 * 1024,
            "The largest output buffer a client may ask for.";
        "output-buffer-timeout" => output_buffer_timeout: Duration = Duration::from_millis(250),
            "How long output may wait for more to go with it, unless the client asks for another time. 0 stands for no wait.";
        "min-output-buffer-timeout" => min_output_buffer_timeout: Duration = Duration::from_millis(25),
            "The shortest such wait a client may ask for.";
        "max-output-buffer-timeout" => max_output_buffer_timeout: Duration = Duration::from_secs(30),
            "The longest such wait a client may ask for.";
        "max-channel-consumers" => max_channel_consumers: u64 = 0,
            "The most consumers a channel may have on this nsqd. 0 stands for any number.";
        "snappy" => snappy: bool = true,
            "Lets clients ask for Snappy compression.";
        "deflate" => deflate: bool = true,
            "Lets clients ask for DEFLATE compression.";
        "max-deflate-level" <"1-9"> => max_deflate_level: i64 = 6,
            "The hardest compression a client may ask for. Higher levels cost more processor time.";
    }

    group "TLS": "Encryption and client certificates, for the NSQ protocol and for HTTPS." {
        "tls-cert" <"FILE"> => tls_cert: PathBuf = PathBuf::new(),
            "The certificate of this nsqd, PEM. Turns TLS on, together with --tls-key.";
        "tls-key" <"FILE"> => tls_key: PathBuf = PathBuf::new(),
            "The private key that belongs to the certificate, PEM.";
        "tls-required" => tls_required: TlsRequired = TlsRequired::No,
            "Refuses clients without TLS. With tcp-https, plain HTTP still answers.";
        "tls-min-version" => tls_min_version: TlsVersion = TlsVersion::Tls10,
            "The oldest version of TLS a client may speak. What is older than 1.2 is never spoken.";
        "tls-client-auth-policy" => tls_client_auth_policy: TlsClientAuthPolicy = TlsClientAuthPolicy::None,
            "Asks clients for a certificate (require), and checks who signed it (require-verify). Implies --tls-required.";
        "tls-root-ca-file" <"FILE"> => tls_root_ca_file: PathBuf = PathBuf::new(),
            "The certificate authority that signs client certificates, PEM.";
    }

    group "Authorization": "Servers that decide what a client may publish and consume." {
        "auth-http-address" <"ADDRESS"> key "auth_http_addresses" => auth_http_addresses: Vec<String> = Vec::new(),
            "An auth server to ask, host:port or a URL. Clients must then authenticate.";
        "auth-http-request-method" <"get|post"> => auth_http_request_method: String = "get".to_owned(),
            "How auth servers are asked. With post, the client's secret stays out of their access logs.";
    }

    group "Statistics": "Numbers for statsd, and how long messages take from publish to finish." {
        "statsd-address" <"HOST:PORT"> => statsd_address: String = String::new(),
            "The statsd daemon to send counters and gauges to, over UDP. Empty for none.";
        "statsd-interval" => statsd_interval: Duration = Duration::from_secs(60),
            "Time between two reports to statsd.";
        "statsd-mem-stats" => statsd_mem_stats: bool = true,
            "Reports memory numbers too.";
        "statsd-prefix" => statsd_prefix: String = "nsq.%s".to_owned(),
            "What each name sent to statsd starts with. %s becomes the broadcast address and HTTP port, with _ for dots and colons.";
        "statsd-udp-packet-size" <"BYTES"> => statsd_udp_packet_size: u64 = 508,
            "The largest packet to send to statsd.";
        "statsd-exclude-ephemeral" => statsd_exclude_ephemeral: bool = false,
            "Leaves out topics and channels whose names end in #ephemeral.";
        "e2e-processing-latency-percentile" key "e2e_processing_latency_percentiles" => e2e_processing_latency_percentiles: Percentiles = Percentiles::default(),
            "Percentiles of the time from publish to finish to report in /stats, such as 0.5,0.99. None by default.";
        "e2e-processing-latency-window-time" => e2e_processing_latency_window_time: Duration = Duration::from_secs(600),
            "How far back these percentiles look.";
    }

    group "Experiments": "Features of nsqd that may still change." {
        "enable-experiment" <"NAME"> => enable_experiment: Vec<String> = Vec::new(),
            "Turns an experiment on: topology-aware-consumption (prefer consumers near by, see --topology-zone).";
    }

    group "Beyond the reference": "Flags that other builds of nsqd do not have." {
        builtin "man" = Man, "Prints a page for man. Try nsqd --man | man -l -.";
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(nsqd --completions bash).";
        "publish-ack" => publish_ack: PublishAck = PublishAck::Accepted,
            "When a publish is answered. With accepted, when the message is queued, as nsqd does. With written, when it is in a file and so survives the end of the process. With synced, when it is on disk and so survives the end of the machine.";
        "log-format" => log_format: LogFormat = LogFormat::Text,
            "The form of log lines: nsqd's text, or a JSON object each.";
        "magic-timeout" => magic_timeout: Duration = Duration::from_secs(30),
            "How long a new connection may take to name its protocol before it is closed. 0 stands for any time.";
    }

    group "HTTP access": "Who may use the HTTP API, beyond what the reference asks. Programs may, as ever." {
        "http-token-file" <"FILE"> => http_token_file: PathBuf = PathBuf::new(),
            "A file with a token. Who sends it (Authorization: Bearer) may look into messages: /topic/peek and /channel/peek. Without it everybody may, and nobody while there is an --auth-http-address.";
        "http-allowed-host" <"HOST"> key "http_allowed_hosts" => http_allowed_hosts: Vec<String> = Vec::new(),
            "A name under which the HTTP API may be asked over loopback. Addresses, names without a dot, the host's name and --broadcast-address may be used anyway; other names are refused, since a web page could have made them mean this machine.";
        "http-allowed-origin" <"ORIGIN"> key "http_allowed_origins" => http_allowed_origins: Vec<String> = Vec::new(),
            "A web site, SCHEME://NAME or SCHEME://NAME:PORT, whose pages may have something changed over HTTP and read the answers. Pages of other sites than nsqd's own address may not.";
    }

    group "Without effect": "Accepted, so that commands written for nsqd work unchanged." {
        builtin "verbose" = Deprecated, "Once chose the log level; use --log-level instead.";
        builtin "worker-id" = Deprecated, "Once numbered the node; use --node-id instead.";
        "queue-scan-worker-pool-max" => queue_scan_worker_pool_max: u64 = 4,
            "Nothing is scanned here: a message that is due is delivered when it is due.";
        "queue-scan-selection-count" => queue_scan_selection_count: u64 = 20,
            "Nothing is scanned here: all channels are on time, however many there are.";
    }
}

fn default_node_id() -> i64 {
    node_id_of(&hostname())
}

/// nsqd's way from a name to one of 1024 numbers.
fn node_id_of(hostname: &str) -> i64 {
    i64::from(crc32fast::hash(&Md5::digest(hostname)) % 1024)
}

#[cfg(test)]
mod tests;
