//! The nsqlookupd and the nsqadmin that run beside the broker, in the same process: where they listen, and whom they ask.

use std::path::PathBuf;

use crate::config::{ListenAddress, NsqadminOptions, NsqdOptions, NsqlookupdOptions};
use crate::http::gate::is_name;

/// How far an nsqlookupd's ports are from an nsqd's, by default: 4160 and 4161 from 4150 and 4151.
const PORTS_BETWEEN: u16 = 10;

/// What nsqd was told of access over HTTP that its nsqadmin needs to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Access {
    token_file: PathBuf,
    hosts: Vec<String>,
}

impl Access {
    /// What `options` say.
    pub(super) fn of(options: &NsqdOptions) -> Self {
        Self { token_file: options.http_token_file.clone(), hosts: options.http_allowed_hosts.clone() }
    }
}

/// The options of an nsqlookupd beside an nsqd with these: on the same interfaces, ten ports further, free ports beside free
/// ports. `None` where it would have nobody to tell of: others were named to register with, or the nsqd has no port that
/// consumers could be told.
pub(super) fn beside(options: &NsqdOptions) -> Option<NsqlookupdOptions> {
    if !options.lookupd_tcp_addresses.is_empty() {
        return None;
    }
    Some(NsqlookupdOptions {
        tcp_address: further(&options.tcp_address)?,
        http_address: further(options.http_address.as_ref()?)?,
        broadcast_address: options.broadcast_address.clone(),
        ..NsqlookupdOptions::default()
    })
}

/// The options of an nsqadmin that shows what an nsqlookupd with these knows, whose HTTP side is at `lookup` now: on the same
/// interfaces, ten ports further. It shows the nsqd its own token. `None` where there are no more ports.
pub(super) fn shown(nsqlookupd: &NsqlookupdOptions, lookup: String, access: Access) -> Option<NsqadminOptions> {
    // There is always one, so that no other names are answered.
    let own = ["localhost", &nsqlookupd.broadcast_address].into_iter().filter(|host| is_name(host)).map(str::to_owned);
    let hosts = own.chain(access.hosts);
    Some(NsqadminOptions {
        http_address: further(&nsqlookupd.http_address)?,
        lookupd_http_addresses: vec![lookup],
        nsqd_http_token_file: access.token_file,
        http_allowed_hosts: hosts.collect(),
        ..NsqadminOptions::default()
    })
}

fn further(address: &ListenAddress) -> Option<ListenAddress> {
    let ListenAddress::Tcp { host, port } = address else { return None };
    let port = if *port == 0 { 0 } else { port.checked_add(PORTS_BETWEEN)? };
    Some(ListenAddress::tcp(host, port))
}

/// The name that others on this machine reach a loopback listener by; a host's name often means another address.
pub(super) fn loopback(address: &ListenAddress) -> Option<&str> {
    match address {
        ListenAddress::Tcp { host, .. } if host == "localhost" => Some(host),
        ListenAddress::Tcp { host, .. } => {
            let ip: std::net::IpAddr = host.parse().ok()?;
            ip.is_loopback().then_some(host)
        }
        ListenAddress::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_ten_further() {
        let options = |tcp: &str, http: &str| NsqdOptions {
            tcp_address: ListenAddress::parse(tcp).unwrap(),
            http_address: ListenAddress::parse(http).ok(),
            ..NsqdOptions::default()
        };
        let shown = |tcp, http| {
            let found = beside(&options(tcp, http))?;
            Some((found.tcp_address.to_string(), found.http_address.to_string()))
        };
        let some = |tcp: &str, http: &str| Some((tcp.to_owned(), http.to_owned()));
        assert_eq!(shown("127.0.0.1:4150", "127.0.0.1:4151"), some("127.0.0.1:4160", "127.0.0.1:4161"));
        assert_eq!(shown(":5150", "[::1]:0"), some(":5160", "[::1]:0"));
        assert_eq!(shown("127.0.0.1:65535", "127.0.0.1:4151"), None);
        assert_eq!(shown("/run/nsqd.sock", "127.0.0.1:4151"), None);
        assert_eq!(shown("127.0.0.1:4150", ""), None);
        let named = NsqdOptions { lookupd_tcp_addresses: vec!["find1:4160".to_owned()], ..options(":1", ":2") };
        assert_eq!(beside(&named), None);
    }

    #[test]
    fn nsqadmin_is_ten_ports_further_still() {
        let lookupd = |http: &str| NsqlookupdOptions {
            http_address: ListenAddress::parse(http).unwrap(),
            ..NsqlookupdOptions::default()
        };
        let access = Access { token_file: "token".into(), hosts: vec!["mine.example".to_owned()] };
        let found = shown(&lookupd("127.0.0.1:4161"), "127.0.0.1:4161".to_owned(), access).unwrap();
        assert_eq!(found.nsqd_http_token_file, PathBuf::from("token"));
        assert!(found.http_allowed_hosts.ends_with(&["mine.example".to_owned()]));
        assert_eq!(found.http_address.to_string(), "127.0.0.1:4171");
        assert_eq!(found.lookupd_http_addresses, ["127.0.0.1:4161"]);
        assert!(found.checked().is_ok());
        assert_eq!(shown(&lookupd(":0"), "a:1".to_owned(), Access::default()).unwrap().http_address.to_string(), ":0");
        assert_eq!(shown(&lookupd(":65530"), "a:1".to_owned(), Access::default()), None);
    }

    #[test]
    fn only_loopback_has_a_name_for_itself() {
        let name = |address| loopback(&ListenAddress::parse(address).unwrap()).map(str::to_owned);
        assert_eq!(name("127.0.0.1:1").as_deref(), Some("127.0.0.1"));
        assert_eq!(name("[::1]:1").as_deref(), Some("::1"));
        assert_eq!(name("localhost:1").as_deref(), Some("localhost"));
        assert_eq!((name("0.0.0.0:1"), name(":1"), name("/run/s")), (None, None, None));
    }
}
