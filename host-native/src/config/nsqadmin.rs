//! The options of nsqadmin. Names, defaults and config keys are those of nsqadmin 1.3.0 (`apps/nsqadmin/main.go`,
//! `nsqadmin/options.go`); the last group but one is ours.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use thiserror::Error;

use super::flags::options;
use super::{Choice as _, ListenAddress, Loaded, Program, load_or_exit, start_logging};
use crate::config::nsqd::PutError;
use crate::log::{LogFormat, LogHandle, LogLevel};
use crate::tls::ClientTls;

const LOG_PREFIX: &str = "[nsqadmin] ";

const PROGRAM: Program = Program {
    name: "nsqadmin",
    title: "shows a cluster in the browser, and acts on it",
    about: "\
        Asks nsqlookupds which nsqds there are, or is told them, and shows topics, channels, nodes and clients, live. \
        Topics and channels can be created, emptied, paused and deleted from its pages, and from its JSON API. It keeps \
        nothing: run as many as you like, and stop them when you like.

        Whoever reaches it may do everything, unless --admin-user names those who may. It knows users by a header that a \
        proxy in front of it sets (--acl-http-header), so let nobody reach it but through that proxy.

        A flag is written --flag=value or --flag value, with one dash or two. Durations look like 250ms, 5s or 1h30m. \
        Any flag may stand in the config file instead, as flag_name = value; the command line wins.",
    examples: &[
        ("nsqadmin --lookupd-http-address=find1:4161 --lookupd-http-address=find2:4161", "The cluster that two nsqlookupds know, on port 4171."),
        ("nsqadmin --nsqd-http-address=127.0.0.1:4151 --http-address=127.0.0.1:4171", "One nsqd, for this machine only."),
        ("curl 'http://127.0.0.1:4171/api/topics/greetings'", "What a page shows, as JSON."),
    ],
};

options! {
    /// Everything nsqadmin can be told when it starts.
    pub struct NsqadminOptions for PROGRAM;

    group "Basics": "Where to read options from, and what to say." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "config" <"FILE"> = Config, "Reads options from this TOML file. Names are flags with underscores: base_path = \"/nsq\".";
        "log-level" => log_level: LogLevel = LogLevel::Info,
            "The least grave lines to log. Can be changed while running: PUT /config/log_level.";
        "log-prefix" => log_prefix: String = LOG_PREFIX.to_owned(),
            "What each log line starts with.";
    }

    group "Cluster": "Either nsqlookupds, or nsqds; the addresses of their HTTP sides." {
        "lookupd-http-address" <"HOST:PORT"> key "nsqlookupd_http_addresses" => lookupd_http_addresses: Vec<String> = Vec::new(),
            "An nsqlookupd to ask for topics and nsqds. Name all of them.";
        "nsqd-http-address" <"HOST:PORT"> key "nsqd_http_addresses" => nsqd_http_addresses: Vec<String> = Vec::new(),
            "An nsqd to show, where there is no nsqlookupd.";
        "http-client-connect-timeout" => http_client_connect_timeout: Duration = Duration::from_secs(2),
            "How long connecting to one of them may take.";
        "http-client-request-timeout" => http_client_request_timeout: Duration = Duration::from_secs(5),
            "How long a request to one of them may take.";
        "http-client-tls-root-ca-file" <"FILE"> => http_client_tls_root_ca_file: PathBuf = PathBuf::new(),
            "Certificates of the authorities to trust for https, PEM, instead of the system's. An nsqd that requires TLS is asked over https.";
        "http-client-tls-cert" <"FILE"> => http_client_tls_cert: PathBuf = PathBuf::new(),
            "A certificate to show to https servers that want one, PEM. With --http-client-tls-key.";
        "http-client-tls-key" <"FILE"> => http_client_tls_key: PathBuf = PathBuf::new(),
            "The key of that certificate, PEM.";
        "http-client-tls-insecure-skip-verify" => http_client_tls_insecure_skip_verify: bool = false,
            "Takes any certificate for any https server's.";
    }

    group "Pages": "Where they are served." {
        "http-address" => http_address: ListenAddress = ListenAddress::tcp("0.0.0.0", 4171),
            "Where browsers connect: host:port, :port for every interface, or the path of a Unix socket.";
        "base-path" <"PATH"> => base_path: String = "/".to_owned(),
            "The path below which everything is, for a proxy that has other paths, too.";
        "dev-static-dir" <"DIR"> => dev_static_dir: PathBuf = PathBuf::new(),
            "Serves the files of the pages from this directory instead of those that are built in. For people who work on them.";
    }

    group "Who may do what": "Everybody may look. These say who may act, and who may change options." {
        "admin-user" <"NAME"> key "admin_users" => admin_users: Vec<String> = Vec::new(),
            "Somebody who may create, empty, pause and delete, and peek into messages. Without any, everybody may.";
        "acl-http-header" <"NAME"> => acl_http_header: String = "X-Forwarded-User".to_owned(),
            "The header in which a proxy says who is asking. Who reaches nsqadmin without that proxy can say anything there.";
        "allow-config-from-cidr" <"CIDR"> => allow_config_from_cidr: String = "127.0.0.1/8".to_owned(),
            "The addresses from which /config may be used. Empty lets everybody.";
        "notification-http-endpoint" <"URL"> => notification_http_endpoint: String = String::new(),
            "Where each action is told of, as a JSON object in a POST: what was done to what, when, and by whom.";
    }

    group "Graphite": "Graphs over hours, drawn by Graphite from what nsqds tell statsd. The pages' own graphs of the last minutes need none of this." {
        "graphite-url" <"URL"> => graphite_url: String = String::new(),
            "Where Graphite is. Turns its graphs on.";
        "proxy-graphite" => proxy_graphite: bool = false,
            "Fetches graphs itself, for browsers that cannot reach Graphite.";
        "statsd-counter-format" <"FORMAT"> => statsd_counter_format: String = "stats.counters.%s.count".to_owned(),
            "What statsd makes of the name of a counter.";
        "statsd-gauge-format" <"FORMAT"> => statsd_gauge_format: String = "stats.gauges.%s".to_owned(),
            "What statsd makes of the name of a gauge.";
        "statsd-prefix" <"PREFIX"> => statsd_prefix: String = "nsq.%s".to_owned(),
            "What names begin with; %s stands for the host. As nsqds are told.";
        "statsd-interval" => statsd_interval: Duration = Duration::from_secs(60),
            "How often nsqds report to statsd. As they are told.";
    }

    group "Beyond the reference": "Flags that other builds of nsqadmin do not have." {
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(nsqadmin --completions bash).";
        builtin "man" = Man, "Prints a page for man. Try nsqadmin --man | man -l -.";
        "nsqd-http-token-file" <"FILE"> => nsqd_http_token_file: PathBuf = PathBuf::new(),
            "A file with the token that nsqds want of those who look into messages (their --http-token-file). It is sent to an nsqd that asks for it when somebody looks, and never otherwise.";
        "http-allowed-host" <"HOST"> key "http_allowed_hosts" => http_allowed_hosts: Vec<String> = Vec::new(),
            "A name under which the pages may be asked for over loopback, besides addresses, names without a dot and the host's name. Once one is given, other names are refused there, since a web page could have made them mean this machine. Without any, all names are answered, as proxies on this machine may need.";
        "live-interval" => live_interval: Duration = Duration::from_secs(2),
            "How often the cluster is asked while a page is open, once for all pages. Each asks for the statistics of every nsqd.";
        "log-format" => log_format: LogFormat = LogFormat::Text,
            "The form of log lines: text, or a JSON object each.";
    }

    group "Without effect": "Accepted, so that commands written for nsqadmin work unchanged." {
        builtin "verbose" = Deprecated, "Once chose the log level; use --log-level instead.";
    }
}

/// Options that nsqadmin cannot start with. The texts are the reference's where it has one (`nsqadmin/nsqadmin.go`, `New`).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidOptions {
    /// Nobody to ask.
    #[error("--nsqd-http-address or --lookupd-http-address required; nsqadmin --help explains them, with examples")]
    NoCluster,
    /// Two ways to find nsqds.
    #[error("use --nsqd-http-address or --lookupd-http-address not both")]
    TwoClusters,
    /// A certificate without its key, or the other way round.
    #[error("--http-client-tls-{missing} must be specified with --http-client-tls-{given}")]
    HalfCertificate {
        /// What was given.
        given: &'static str,
        /// What was not.
        missing: &'static str,
    },
    /// Not a network.
    #[error(
        "failed to parse --allow-config-from-cidr ({0}) - not an address and the length of its prefix, such as 10.0.0.0/8"
    )]
    Cidr(String),
    /// Not the name of a header.
    #[error("--acl-http-header {0:?} is not the name of a header")]
    Header(String),
    /// Not the URL of an HTTP server.
    #[error("--{flag} {url:?} is not a URL: it has to begin with http:// or https:// and a host")]
    Url {
        /// The flag.
        flag: &'static str,
        /// As it was given.
        url: String,
    },
    /// A path that cannot be one of a URL.
    #[error("--base-path {0:?} has characters that a path should not have: letters, digits and -._~/ do")]
    BasePath(String),
    /// A period of no length.
    #[error("--{0} must be longer than 0s")]
    ZeroDuration(&'static str),
}

impl NsqadminOptions {
    /// The options, if nsqadmin can start with them. The base path is then in order.
    pub fn checked(mut self) -> Result<Self, InvalidOptions> {
        match (self.nsqd_http_addresses.as_slice(), self.lookupd_http_addresses.as_slice()) {
            ([], []) => return Err(InvalidOptions::NoCluster),
            ([_, ..], [_, ..]) => return Err(InvalidOptions::TwoClusters),
            ([_, ..], []) | ([], [_, ..]) => {}
        }
        let half = |given, missing| Err(InvalidOptions::HalfCertificate { given, missing });
        match (self.http_client_tls_cert.as_os_str().is_empty(), self.http_client_tls_key.as_os_str().is_empty()) {
            (false, true) => return half("cert", "key"),
            (true, false) => return half("key", "cert"),
            (true, true) | (false, false) => {}
        }
        if !self.allow_config_from_cidr.is_empty() && Network::parse(&self.allow_config_from_cidr).is_none() {
            return Err(InvalidOptions::Cidr(self.allow_config_from_cidr));
        }
        if hyper::header::HeaderName::from_bytes(self.acl_http_header.as_bytes()).is_err() {
            return Err(InvalidOptions::Header(self.acl_http_header));
        }
        for (flag, url) in
            [("graphite-url", &self.graphite_url), ("notification-http-endpoint", &self.notification_http_endpoint)]
        {
            if !url.is_empty() && crate::client::http::check(url).is_err() {
                return Err(InvalidOptions::Url { flag, url: url.clone() });
            }
        }
        for (flag, time) in [
            ("live-interval", self.live_interval),
            ("statsd-interval", self.statsd_interval),
            ("http-client-connect-timeout", self.http_client_connect_timeout),
            ("http-client-request-timeout", self.http_client_request_timeout),
        ] {
            if time.is_zero() {
                return Err(InvalidOptions::ZeroDuration(flag));
            }
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        if !self.base_path.chars().all(plain) {
            return Err(InvalidOptions::BasePath(self.base_path));
        }
        self.base_path = normalized(&self.base_path);
        Ok(self)
    }

    /// What every path begins with: nothing, or something that begins with a slash and does not end in one.
    pub fn base(&self) -> &str {
        self.base_path.trim_end_matches('/')
    }

    /// How https is spoken with others.
    pub fn client_tls(&self) -> ClientTls {
        ClientTls::of_flags(
            &self.http_client_tls_root_ca_file,
            &self.http_client_tls_cert,
            &self.http_client_tls_key,
            self.http_client_tls_insecure_skip_verify,
        )
    }

    /// Whether `/config` may be used from `ip`.
    pub fn may_configure(&self, ip: IpAddr) -> bool {
        Network::parse(&self.allow_config_from_cidr).is_none_or(|network| network.contains(ip))
    }

    /// Applies the body of `PUT /config/:opt`.
    pub fn put(&mut self, key: &str, body: &[u8]) -> Result<(), PutError> {
        match key {
            "log_level" => {
                let text = std::str::from_utf8(body).map_err(|_| PutError::Value)?;
                self.log_level = LogLevel::parse(text).ok_or(PutError::Value)?;
            }
            "nsqlookupd_http_addresses" => {
                let addresses: Option<Vec<String>> = serde_json::from_slice(body).map_err(|_| PutError::Value)?;
                self.lookupd_http_addresses = addresses.unwrap_or_default();
            }
            _ => return Err(PutError::Option),
        }
        Ok(())
    }
}

/// A path without dots, doubled slashes and the one at its end.
fn normalized(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    ip: IpAddr,
    prefix: u32,
}

impl Network {
    /// Reads `10.0.0.0/8` or `fd00::/8`.
    fn parse(text: &str) -> Option<Self> {
        let (ip, prefix) = text.split_once('/')?;
        let (ip, prefix): (IpAddr, u32) = (ip.parse().ok()?, prefix.parse().ok()?);
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        (prefix <= bits).then_some(Self { ip, prefix })
    }

    fn contains(self, ip: IpAddr) -> bool {
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros().min(32) >= self.prefix
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.prefix,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Reads the options from `args`, the words after the program's name, and starts logging.
///
/// If the process should end instead, everything is said and the error is its exit code.
pub fn start(args: impl IntoIterator<Item = OsString>) -> Result<(NsqadminOptions, LogHandle), ExitCode> {
    let Loaded { options, warnings, ignored } = load_or_exit::<NsqadminOptions>(args, LOG_PREFIX)?;
    let log = start_logging(&options.log_prefix, options.log_level, options.log_format, &warnings)?;
    // Who names users behind a word that ends the flags would let everybody in.
    if let Some(word) = ignored.iter().find(|word| word.trim_start_matches('-').starts_with("admin-user")) {
        crate::fatal!(
            "failed to instantiate nsqadmin - {word} stands after {:?}, where flags end, and would be ignored",
            ignored[0]
        );
        return Err(ExitCode::FAILURE);
    }
    Ok((options, log))
}

#[cfg(test)]
#[path = "nsqadmin_tests.rs"]
mod tests;
