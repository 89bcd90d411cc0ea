//! Tests of reading configuration files.

use super::super::NsqdOptions;
use super::*;

fn loaded(text: &str) -> Result<(NsqdOptions, Vec<String>), String> {
    let mut options = NsqdOptions::default();
    let warnings = apply("f.cfg", text, &mut options).map_err(|error| error.to_string())?;
    Ok((options, warnings))
}

#[test]
fn sets_options_by_their_keys() {
    let text = "mem_queue_size = 5\nid = 7\nnsqlookupd_tcp_addresses = 'a:1,b:2'\nhttp_address = ''";
    let (options, warnings) = loaded(text).unwrap();
    assert_eq!(options.mem_queue_size, 5);
    assert_eq!(options.id, 7);
    assert_eq!(options.lookupd_tcp_addresses, ["a:1", "b:2"]);
    assert_eq!(options.http_address, None);
    assert_eq!(options.sources.of("node-id"), Source::File);
    assert_eq!(options.sources.of("msg-timeout"), Source::Default);
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn every_key_takes_its_own_default() {
    for flag in all_flags::<NsqdOptions>() {
        let Role::Option { get, get_mut } = flag.role else { continue };
        let mut options = NsqdOptions::default();
        let shown = get(&options).show();
        get_mut(&mut options).set_toml(&Value::String(shown.clone())).unwrap();
        assert_eq!(options, NsqdOptions::default(), "{} = {shown:?}", flag.name);
    }
}

#[test]
fn unknown_keys_are_ignored_with_a_hint() {
    let text = "msg_timout = 1\nnode_id = 6\nlookupd_tcp_address = 'x'\nverbose = true\nquark = 1\n[nsqd]\nid = 9";
    let (options, warnings) = loaded(text).unwrap();
    assert_eq!(options, NsqdOptions::default());
    let hints: Vec<_> =
        warnings.iter().map(|w| w.strip_prefix("config file f.cfg: unknown option ").unwrap()).collect();
    // In the order of the keys, which is alphabetical.
    assert_eq!(
        hints,
        [
            r#""lookupd_tcp_address" ignored (did you mean "nsqlookupd_tcp_addresses"?)"#,
            r#""msg_timout" ignored (did you mean "msg_timeout"?)"#,
            r#""node_id" ignored (did you mean "id"?)"#,
            r#""nsqd" ignored (sections are not read: options stand at the top of the file)"#,
            r#""quark" ignored"#,
            r#""verbose" ignored"#,
        ]
    );
}

#[test]
fn bad_values_name_key_value_and_what_is_accepted() {
    for (text, expected) in [
        (
            "tls_required = 'foo'",
            "failed parsing tls_required foo - no such choice; accepted: true, false, tcp-https (in f.cfg)",
        ),
        (
            "log_level = 3",
            "failed parsing log_level 3 - an integer found; accepted: debug, info, warn, error, fatal (in f.cfg)",
        ),
        (
            "msg_timeout = '5x'",
            "failed parsing msg_timeout 5x - unknown unit \"x\" in duration; accepted: a duration such as 250ms, 5s or 1h30m (in f.cfg)",
        ),
        (
            "mem_queue_size = -1",
            "failed parsing mem_queue_size -1 - value is too small; accepted: a whole number, 0 or more (in f.cfg)",
        ),
        (
            "auth_http_addresses = [1, 'a']",
            "failed parsing auth_http_addresses [1, a] - an integer found; accepted: a text, or an array of texts (in f.cfg)",
        ),
    ] {
        assert_eq!(loaded(text).unwrap_err(), expected);
    }
}

#[test]
fn files_that_cannot_be_read() {
    let error = loaded("id = 1\na = [").unwrap_err();
    assert!(error.starts_with("failed to load config file f.cfg - line 2: "), "{error}");
    assert!(!error.contains('\n'));
    let error = load(Path::new("/no/such/file"), &mut NsqdOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to load config file /no/such/file - open /no/such/file: no such file or directory"
    );
}

#[test]
fn a_flag_gets_around_a_bad_line() {
    let mut options = NsqdOptions::default();
    options.sources.note("msg-timeout", Source::Flag);
    assert!(apply("f.cfg", "msg_timeout = 'bad'", &mut options).unwrap().is_empty());
    assert_eq!(options.sources.of("msg-timeout"), Source::Flag);
}
