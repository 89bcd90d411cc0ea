//! Tests of nsqd's options and their checks.

use super::check::check_ignored;
use super::*;
use crate::config::flags::all_flags;
use crate::config::{Outcome, find_flag, load, read_option};

fn options(args: &[&str]) -> NsqdOptions {
    match load::<NsqdOptions>(args.iter().map(std::ffi::OsString::from), false) {
        Ok(Outcome::Run(loaded)) => loaded.options,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// Key, default as `GET /config/:opt` of nsqd 1.3.0 prints it.
const DEFAULTS: &[(&str, &str)] = &[
    ("log_level", "2"),
    ("log_prefix", "[nsqd] "),
    ("tcp_address", "0.0.0.0:4150"),
    ("http_address", "0.0.0.0:4151"),
    ("https_address", "0.0.0.0:4152"),
    ("broadcast_tcp_port", "0"),
    ("broadcast_http_port", "0"),
    ("nsqlookupd_tcp_addresses", "[]"),
    ("auth_http_addresses", "[]"),
    ("auth_http_request_method", "get"),
    ("http_client_connect_timeout", "2000000000"),
    ("http_client_request_timeout", "5000000000"),
    ("topology_region", ""),
    ("topology_zone", ""),
    ("data_path", ""),
    ("mem_queue_size", "10000"),
    ("max_bytes_per_file", "104857600"),
    ("sync_every", "2500"),
    ("sync_timeout", "2000000000"),
    ("queue_scan_worker_pool_max", "4"),
    ("queue_scan_selection_count", "20"),
    ("msg_timeout", "60000000000"),
    ("max_msg_timeout", "900000000000"),
    ("max_msg_size", "1048576"),
    ("max_req_timeout", "3600000000000"),
    ("max_body_size", "5242880"),
    ("max_heartbeat_interval", "60000000000"),
    ("max_rdy_count", "2500"),
    ("max_output_buffer_size", "65536"),
    ("max_output_buffer_timeout", "30000000000"),
    ("min_output_buffer_timeout", "25000000"),
    ("output_buffer_timeout", "250000000"),
    ("max_channel_consumers", "0"),
    ("statsd_address", ""),
    ("statsd_interval", "60000000000"),
    ("statsd_mem_stats", "true"),
    ("statsd_prefix", "nsq.%s"),
    ("statsd_udp_packet_size", "508"),
    ("statsd_exclude_ephemeral", "false"),
    ("e2e_processing_latency_percentiles", "[]"),
    ("e2e_processing_latency_window_time", "600000000000"),
    ("tls_cert", ""),
    ("tls_key", ""),
    ("tls_root_ca_file", ""),
    ("tls_client_auth_policy", ""),
    ("tls_required", "0"),
    ("tls_min_version", "769"),
    ("deflate", "true"),
    ("max_deflate_level", "6"),
    ("snappy", "true"),
    ("enable_experiment", "[]"),
    // Ours.
    ("publish_ack", "accepted"),
    ("log_format", "text"),
    ("magic_timeout", "30000000000"),
    ("http_token_file", ""),
    ("http_allowed_hosts", "[]"),
    ("http_allowed_origins", "[]"),
];

#[test]
fn defaults_are_nsqds() {
    let options = NsqdOptions::default();
    for (key, expected) in DEFAULTS {
        assert_eq!(read_option(&options, key).as_deref(), Some(*expected), "{key}");
    }
    let hostname = hostname();
    assert_eq!(read_option(&options, "broadcast_address").as_deref(), Some(hostname.as_str()));
    assert_eq!(read_option(&options, "id"), Some(node_id_of(&hostname).to_string()));
    let keys = all_flags::<NsqdOptions>().filter_map(|flag| flag.config_key()).count();
    assert_eq!(keys, DEFAULTS.len() + 2, "an option without a tested default");
    assert_eq!(options.clone().checked(), Ok(options));
}

#[test]
fn what_is_no_option_cannot_be_read() {
    let options = NsqdOptions::default();
    for key in
        ["msg-timeout", "config", "version", "verbose", "worker_id", "node_id", "lookupd_tcp_address", "sources", ""]
    {
        assert_eq!(read_option(&options, key), None, "{key}");
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = all_flags::<NsqdOptions>().map(|flag| flag.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(names.iter().all(|name| find_flag::<NsqdOptions>(name).is_some()));
}

#[test]
fn node_id_is_made_from_the_hosts_name() {
    // As nsqd prints it on hosts of these names.
    assert_eq!(node_id_of("vm"), 617);
    assert!((0..1024).contains(&default_node_id()));
}

#[test]
fn fatal_texts() {
    for (args, expected) in [
        (&["--node-id=1024"][..], "--node-id must be [0,1024)"),
        (&["--node-id=-1"], "--node-id must be [0,1024)"),
        (&["--max-deflate-level=0"], "--max-deflate-level must be [1,9]"),
        (&["--max-deflate-level=10", "--node-id=-1"], "--max-deflate-level must be [1,9]"),
        (&["--tls-required"], "cannot require TLS client connections without TLS key and cert"),
        (&["--tls-required=tcp-https"], "cannot require TLS client connections without TLS key and cert"),
        (&["--tls-client-auth-policy=require"], "cannot require TLS client connections without TLS key and cert"),
        (&["--tls-cert=/x"], "failed to build TLS config - --tls-cert was given without --tls-key"),
        (&["--tls-key=/x"], "failed to build TLS config - --tls-key was given without --tls-cert"),
        (&["--auth-http-request-method=put"], "--auth-http-request-method must be post or get"),
        (&["--e2e-processing-latency-percentile=2"], "invalid E2E processing latency percentile: 2"),
        (&["--e2e-processing-latency-percentile=0.5,0"], "invalid E2E processing latency percentile: 0"),
        (&["--e2e-processing-latency-percentile=NaN"], "invalid E2E processing latency percentile: NaN"),
        (&["--sync-timeout=0"], "--sync-timeout must be longer than 0s"),
        (&["--statsd-interval=0s", "--statsd-address=a:1"], "--statsd-interval must be longer than 0s"),
    ] {
        assert_eq!(options(args).checked().unwrap_err().to_string(), expected, "{args:?}");
    }
}

#[test]
fn what_kills_nsqd_works_or_is_refused() {
    for args in [
        &["--statsd-interval=1s", "--statsd-address=a:1"][..],
        &["--statsd-interval=0"],
        &["--output-buffer-timeout=0"],
        &["--mem-queue-size=0"],
        &["--e2e-processing-latency-percentile=1,0.5"],
        &["--auth-http-request-method=post"],
    ] {
        assert!(options(args).checked().is_ok(), "{args:?}");
    }
}

#[test]
fn a_client_auth_policy_requires_tls() {
    let args = ["--tls-cert=/c", "--tls-key=/k", "--tls-client-auth-policy=require-verify"];
    assert_eq!(options(&args).checked().unwrap().tls_required, TlsRequired::Yes);
    let args = ["--tls-cert=/c", "--tls-key=/k", "--tls-client-auth-policy=require", "--tls-required=tcp-https"];
    assert_eq!(options(&args).checked().unwrap().tls_required, TlsRequired::TcpHttps);
}

#[test]
fn protections_are_not_lost_behind_a_bare_word() {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(check_ignored(&words(&["false", "--node-id=3"])), Ok(()));
    assert_eq!(
        check_ignored(&words(&["false", "-tls-required=true"])).unwrap_err().to_string(),
        "--tls-required stands after \"false\", where flags end, and would be ignored"
    );
}

#[test]
fn completed_after_binding() {
    let mut options = options(&["--broadcast-address=127.0.0.1", "--broadcast-tcp-port=9"]);
    options.complete(Some(4150), Some(14151));
    assert_eq!((options.broadcast_tcp_port, options.broadcast_http_port), (9, 14151));
    assert_eq!(options.statsd_prefix, "nsq.127_0_0_1_14151.");

    let mut options = NsqdOptions { broadcast_address: "::1".into(), statsd_prefix: "%s.".into(), ..options };
    options.broadcast_http_port = 0;
    options.complete(None, None);
    assert_eq!(options.statsd_prefix, "[__1]_0.");
}

#[test]
fn put_changes_two_options() {
    let mut options = NsqdOptions::default();
    assert_eq!(options.put("log_level", b"DEBUG"), Ok(()));
    assert_eq!(read_option(&options, "log_level").as_deref(), Some("1"));
    for bad in [&b"\"info\""[..], b"info\n", b"warning", b"", b"\xff"] {
        assert_eq!(options.put("log_level", bad), Err(PutError::Value));
    }
    assert_eq!(options.put("nsqlookupd_tcp_addresses", br#"["a:1"]"#), Ok(()));
    assert_eq!(options.lookupd_tcp_addresses, ["a:1"]);
    assert_eq!(options.put("nsqlookupd_tcp_addresses", b"null"), Ok(()));
    assert_eq!(options.put("nsqlookupd_tcp_addresses", b"a:1"), Err(PutError::Value));
    for key in ["mem_queue_size", "log-level", "nope"] {
        assert_eq!(options.put(key, b"1"), Err(PutError::Option));
    }
}
