//! The defaults of nsqadmin's options, what they are checked for, and what may be changed.

use super::*;
use crate::config::flags::all_flags;
use crate::config::{help_page, read_option};

fn options() -> NsqadminOptions {
    NsqadminOptions { nsqd_http_addresses: vec!["127.0.0.1:4151".to_owned()], ..NsqadminOptions::default() }
}

#[test]
fn defaults_are_nsqadmins() {
    let expected = [
        ("log_level", "2"),
        ("log_prefix", LOG_PREFIX),
        ("nsqlookupd_http_addresses", "[]"),
        ("nsqd_http_addresses", "[]"),
        ("http_client_connect_timeout", "2000000000"),
        ("http_client_request_timeout", "5000000000"),
        ("http_client_tls_root_ca_file", ""),
        ("http_client_tls_cert", ""),
        ("http_client_tls_key", ""),
        ("http_client_tls_insecure_skip_verify", "false"),
        ("http_address", "0.0.0.0:4171"),
        ("base_path", "/"),
        ("dev_static_dir", ""),
        ("admin_users", "[]"),
        ("acl_http_header", "X-Forwarded-User"),
        ("allow_config_from_cidr", "127.0.0.1/8"),
        ("notification_http_endpoint", ""),
        ("graphite_url", ""),
        ("proxy_graphite", "false"),
        ("statsd_counter_format", "stats.counters.%s.count"),
        ("statsd_gauge_format", "stats.gauges.%s"),
        ("statsd_prefix", "nsq.%s"),
        ("statsd_interval", "60000000000"),
        // Ours.
        ("live_interval", "2000000000"),
        ("nsqd_http_token_file", ""),
        ("http_allowed_hosts", "[]"),
        ("log_format", "text"),
    ];
    for (key, value) in expected {
        assert_eq!(read_option(&NsqadminOptions::default(), key).as_deref(), Some(value), "{key}");
    }
    let keys = all_flags::<NsqadminOptions>().filter_map(|flag| flag.config_key()).count();
    assert_eq!(keys, expected.len(), "an option without a tested default");
}

#[test]
fn help_fits_a_terminal() {
    let page = help_page::<NsqadminOptions>(false);
    assert!(page.contains("--admin-user NAME  (may be repeated)"), "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 88), "{page}");
}

#[test]
fn what_makes_no_sense_is_said() {
    let said = |change: fn(&mut NsqadminOptions)| {
        let mut options = options();
        change(&mut options);
        options.checked().unwrap_err().to_string()
    };
    assert!(said(|it| it.nsqd_http_addresses.clear()).contains("required; nsqadmin --help"));
    assert_eq!(
        said(|it| it.lookupd_http_addresses.push("a:1".to_owned())),
        "use --nsqd-http-address or --lookupd-http-address not both"
    );
    let half = "--http-client-tls-key must be specified with --http-client-tls-cert";
    assert_eq!(said(|it| it.http_client_tls_cert = "c".into()), half);
    assert!(
        said(|it| it.allow_config_from_cidr = "10.0.0.0/33".to_owned())
            .starts_with("failed to parse --allow-config-from-cidr (10.0.0.0/33) - ")
    );
    assert!(said(|it| it.acl_http_header = "a b".to_owned()).contains("--acl-http-header"));
    assert!(said(|it| it.graphite_url = "graphite:80".to_owned()).contains("--graphite-url"));
    assert!(said(|it| it.base_path = "/a b".to_owned()).contains("--base-path"));
    assert!(said(|it| it.live_interval = Duration::ZERO).contains("--live-interval"));
}

#[test]
fn base_paths_are_put_in_order() {
    for (path, expected) in [("/", "/"), ("", "/"), ("adm/", "/adm"), ("/a//b/../c/", "/a/c"), ("..", "/")] {
        let options = NsqadminOptions { base_path: path.to_owned(), ..options() };
        let options = options.checked().unwrap();
        assert_eq!(options.base_path, expected, "{path}");
        assert_eq!(options.base(), if expected == "/" { "" } else { expected });
    }
}

#[test]
fn networks_contain_addresses() {
    for (network, ip, inside) in [
        ("127.0.0.1/8", "127.9.9.9", true),
        ("127.0.0.1/8", "128.0.0.1", false),
        ("127.0.0.1/8", "::ffff:127.0.0.1", true),
        ("127.0.0.1/8", "::1", false),
        ("0.0.0.0/0", "8.8.8.8", true),
        ("10.1.2.3/32", "10.1.2.3", true),
        ("10.1.2.3/32", "10.1.2.2", false),
        ("fd00::/8", "fd12::1", true),
        ("::1/128", "::1", true),
        ("::/0", "::1", true),
    ] {
        assert_eq!(Network::parse(network).unwrap().contains(ip.parse().unwrap()), inside, "{network} {ip}");
    }
    for bad in ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/-1"] {
        assert_eq!(Network::parse(bad), None, "{bad}");
    }
}

#[test]
fn two_options_can_be_changed() {
    let mut options = options();
    assert_eq!(options.put("log_level", b"debug"), Ok(()));
    assert_eq!(options.put("nsqlookupd_http_addresses", br#"["a:1"]"#), Ok(()));
    assert_eq!(options.lookupd_http_addresses, ["a:1"]);
    assert_eq!(options.put("nsqlookupd_http_addresses", b"a:1"), Err(PutError::Value));
    assert_eq!(options.put("nsqd_http_addresses", b"[]"), Err(PutError::Option));
}
