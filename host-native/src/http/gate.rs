//! Who is let in to the HTTP API, as far as a request's head can tell.
//!
//! Programs are served as ever. What is refused comes from a browser, or may come from one, whose user does not know of it:
//! - [`Gate::check_host`]: a page that had its own name resolved to this machine (DNS rebinding) is of the same origin as
//!   this API to the browser, which then shows it everything. Over loopback, where no stranger could ask otherwise, `Host`
//!   has to be a name of this machine.
//! - [`Gate::check_origin`]: a page of another site can make a browser send requests whose answer it cannot read. So it may
//!   not have anything changed.
//!
//! Apart from that, [`Gate::admit`] keeps messages from those who may not see them: it is for endpoints that show them or
//! do something to single ones.

use std::net::IpAddr;

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HOST, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode};
use thiserror::Error;

use super::origin::{self, Authority, Origin};
use super::respond::{Answer, Failure};
use super::server::Peer;
use super::service::Request;
use super::token::{BadToken, Shown, Token};
use crate::config::{NsqdOptions, hostname};

/// How long a browser may remember what it was allowed, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// Who is let in.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Names of this machine, in lower case.
    hosts: Vec<String>,
    /// Sites whose pages may do what programs may.
    origins: Vec<Origin>,
    messages: Messages,
}

/// Who may see messages.
#[derive(Debug, Default)]
enum Messages {
    /// Everybody.
    #[default]
    Open,
    /// Nobody: whom auth servers would let see them is not known here.
    Closed,
    /// Those who show this token.
    Behind(Token),
}

/// A flag of which no gate can be made.
#[derive(Debug, Error)]
pub(crate) enum BadFlag {
    #[error("--http-allowed-host {0:?} is not the name of a host, such as queue1.example; it has no port")]
    Host(String),
    #[error("--http-allowed-origin {0:?} is not an origin, such as https://tools.example:8443; it has no path")]
    Origin(String),
    #[error("--http-token-file {file}: {bad}")]
    Token { file: String, bad: BadToken },
}

impl Gate {
    /// The gate of an nsqd with `options`. Reads the file of the token.
    pub(crate) fn of(options: &NsqdOptions) -> Result<Self, BadFlag> {
        let mut gate = Self::of_hosts(&options.http_allowed_hosts)?;
        gate.hosts.extend(name(&options.broadcast_address));
        let file = &options.http_token_file;
        let messages = if !file.as_os_str().is_empty() {
            let failed = |bad| BadFlag::Token { file: file.display().to_string(), bad };
            Messages::Behind(Token::read(file).map_err(failed)?)
        } else if !options.auth_http_addresses.is_empty() {
            Messages::Closed
        } else {
            Messages::Open
        };
        Ok(Self { messages, origins: Self::of_origins(&options.http_allowed_origins)?.origins, ..gate })
    }

    /// A gate that answers, over loopback, to these names of this machine and to its host's name.
    pub(crate) fn of_hosts(hosts: &[String]) -> Result<Self, BadFlag> {
        let named = hosts.iter().map(|host| name(host).ok_or(BadFlag::Host(host.clone())));
        let mut hosts: Vec<String> = named.collect::<Result<_, _>>()?;
        hosts.extend(name(&hostname()));
        Ok(Self { hosts, ..Self::default() })
    }

    /// A gate that pages of these origins may pass, and no other pages. It is open otherwise.
    pub(crate) fn of_origins(origins: &[String]) -> Result<Self, BadFlag> {
        let parsed = |text: &String| Origin::parse(text).ok_or(BadFlag::Origin(text.clone()));
        Ok(Self { origins: origins.iter().map(parsed).collect::<Result<_, _>>()?, ..Self::default() })
    }

    /// Refuses a request that came over loopback and was sent to a name that is none of this machine's.
    pub(crate) fn check_host(&self, peer: &Peer, headers: &HeaderMap) -> Result<(), Failure> {
        if !peer.loopback {
            return Ok(());
        }
        let Some(host) = headers.get(HOST).filter(|host| !host.is_empty()) else { return Ok(()) };
        let host = String::from_utf8_lossy(host.as_bytes());
        let authority = Authority::parse(&host);
        if authority.as_ref().is_some_and(|authority| self.is_own(authority.host())) {
            return Ok(());
        }
        let named = authority.map_or_else(|| host.to_string(), |authority| authority.host().to_owned());
        Err(forbidden(format!(
            "FOREIGN_HOST: {named:?} is not a name of this machine; start the program with --http-allowed-host={named} if it is to be"
        )))
    }

    fn is_own(&self, host: &str) -> bool {
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = host.strip_suffix('.').unwrap_or(host);
        // A name without a dot is one of this machine's or of its network's, such as an alias in /etc/hosts or the service of
        // a compose file: no page of the internet has one. Browsers resolve names below localhost themselves, to loopback.
        address.parse::<IpAddr>().is_ok()
            || !host.contains('.')
            || host.ends_with(".localhost")
            || self.hosts.iter().any(|own| own == host)
    }

    /// Refuses a request that may change something, if a page of another site asks for it.
    pub(crate) fn check_change(&self, request: Request<'_>) -> Result<(), Failure> {
        if is_safe(request.method) { Ok(()) } else { self.check_origin(request.headers) }
    }

    /// Refuses a request that a page of another site asks for.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if !origin::is_foreign(headers, &self.origins) {
            return Ok(());
        }
        let page = headers.get(ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
        let advice = match page.as_deref().and_then(|page| Some((page, Origin::parse(page)?))) {
            Some((page, _)) => format!("; start it with --http-allowed-origin={page} if that page is to"),
            None => String::new(),
        };
        Err(forbidden(format!("FOREIGN_ORIGIN: a page of another site may not ask for this{advice}")))
    }

    /// Refuses those who may not see messages, or do anything to single ones.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Failure> {
        self.check_origin(headers)?;
        let unauthorized = |text| Err(Failure::new(StatusCode::UNAUTHORIZED, text));
        match &self.messages {
            Messages::Open => Ok(()),
            Messages::Closed => Err(forbidden(
                "MESSAGES_CLOSED: an nsqd with --auth-http-address shows messages only to those who have its token; start it \
                 with --http-token-file, and send Authorization: Bearer and the token"
                    .to_owned(),
            )),
            Messages::Behind(token) => match token.shown_by(headers) {
                Shown::Right => Ok(()),
                Shown::Wrong => unauthorized("TOKEN_WRONG: the token is not the one in the file of --http-token-file"),
                Shown::Nothing => unauthorized(
                    "TOKEN_MISSING: messages are shown to those who have the token in the file of --http-token-file; send \
                     Authorization: Bearer and the token",
                ),
            },
        }
    }

    /// Tells browsers that pages of allowed origins may read `answer`, and what they may ask for. Without allowed origins
    /// nothing is said, as the reference says nothing.
    pub(crate) fn tell_allowed(&self, headers: &HeaderMap, mut answer: Answer) -> Answer {
        if self.origins.is_empty() {
            return answer;
        }
        let asked =
            answer.headers().get(ALLOW).cloned().filter(|_| headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD));
        let told = answer.headers_mut();
        told.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = headers.get(ORIGIN) else { return answer };
        if !origin.to_str().ok().and_then(Origin::parse).is_some_and(|origin| self.origins.contains(&origin)) {
            return answer;
        }
        told.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if let Some(methods) = asked {
            told.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            told.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED);
            if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                told.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
        }
        answer
    }
}

/// Whether requests of this method leave everything as it is.
fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

fn forbidden(text: String) -> Failure {
    Failure { status: StatusCode::FORBIDDEN, message: text.into() }
}

/// Whether `host` can be the value of `--http-allowed-host`.
pub(crate) fn is_name(host: &str) -> bool {
    name(host).is_some()
}

/// A host's name as it is compared; `None` for what is none, or has a port.
fn name(host: &str) -> Option<String> {
    if host.parse::<IpAddr>().is_ok() {
        return Some(host.to_ascii_lowercase());
    }
    let authority = Authority::parse(host)?;
    let plain = authority.port().is_none() && !host.contains([':', '@']);
    plain.then(|| authority.host().strip_suffix('.').unwrap_or(authority.host()).to_owned())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::super::respond;
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines.iter().map(|line| line.split_once(": ").unwrap()) {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    fn gate(change: impl FnOnce(&mut NsqdOptions)) -> Result<Gate, String> {
        let mut options = NsqdOptions { broadcast_address: "Queue1.Example".to_owned(), ..NsqdOptions::default() };
        change(&mut options);
        Gate::of(&options).map_err(|bad| bad.to_string())
    }

    #[test]
    fn over_loopback_a_host_is_a_name_of_this_machine() {
        let gate =
            gate(|options| options.http_allowed_hosts = vec!["Proxy.example".to_owned(), "::2".to_owned()]).unwrap();
        let here = Peer { address: "127.0.0.1:5".to_owned(), secure: false, loopback: true };
        let check = |host: &str| gate.check_host(&here, &headers(&[&format!("host: {host}")]));
        for own in
            ["localhost", "LOCALHOST:4151", "localhost.", "x.localhost", "127.0.0.1:4151", "10.0.0.1", "[::1]:4151"]
        {
            assert_eq!(check(own), Ok(()), "{own}");
        }
        for own in
            ["queue1.example:4151", "QUEUE1.example.", "proxy.example:80", "[2001:db8::1]", &hostname(), "0.0.0.0"]
        {
            assert_eq!(check(own), Ok(()), "{own}");
        }
        assert_eq!(gate.check_host(&here, &headers(&[])), Ok(()));
        assert_eq!(gate.check_host(&here, &HeaderMap::from_iter([(HOST, HeaderValue::from_static(""))])), Ok(()));
        for own in ["x", "queue2:4151", "nsqd."] {
            assert_eq!(check(own), Ok(()), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:4151",
            "evil.example.",
            "queue1.example.evil.example",
            "localhost.evil.example",
            "evil.localhost.example",
            "127.0.0.1.evil.example",
            "[::1",
            "a,b",
            "evil:x",
        ] {
            let refused = check(foreign).unwrap_err();
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{foreign}");
            assert!(refused.message.contains("--http-allowed-host="), "{}", refused.message);
        }
        assert!(
            check("evil.example:1").unwrap_err().message.ends_with("--http-allowed-host=evil.example if it is to be")
        );
    }

    #[test]
    fn pages_of_other_sites_are_refused_unless_they_are_allowed() {
        let gate = gate(|options| options.http_allowed_origins = vec!["https://Tools.example".to_owned()]).unwrap();
        let check = |lines: &[&str]| gate.check_origin(&headers(lines));
        for fine in [
            &["host: q:4151"][..],
            &["host: q:4151", "origin: http://q:4151"],
            &["host: q:4151", "sec-fetch-site: same-origin"],
            &["host: q:4151", "sec-fetch-site: none"],
            &["host: q:4151", "origin: https://tools.example", "sec-fetch-site: cross-site"],
        ] {
            assert_eq!(check(fine), Ok(()), "{fine:?}");
        }
        let refused =
            check(&["host: q:4151", "origin: https://evil.example", "sec-fetch-site: cross-site"]).unwrap_err();
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.message.contains("--http-allowed-origin=https://evil.example"), "{}", refused.message);
        for foreign in [&["origin: null"][..], &["sec-fetch-site: same-site"], &["sec-fetch-site: cross-site"]] {
            assert!(check(&[&["host: q:4151"], foreign].concat()).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn allowed_pages_may_read_and_ask_beforehand() {
        let tell = |allowed: &[&str], lines: &[&str]| {
            let gate = gate(|options| options.http_allowed_origins = allowed.iter().map(ToString::to_string).collect());
            let told = gate.unwrap().tell_allowed(&headers(lines), respond::options("OPTIONS, PUT"));
            let lines = told.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            lines.collect::<Vec<_>>().join("|")
        };
        let before = ["origin: http://a", "access-control-request-method: PUT", "access-control-request-headers: x-b"];
        assert_eq!(tell(&[], &before), "allow: OPTIONS, PUT");
        assert_eq!(tell(&["http://b"], &before), "allow: OPTIONS, PUT|vary: Origin");
        let allowed = "allow: OPTIONS, PUT|vary: Origin|access-control-allow-origin: http://a";
        assert_eq!(tell(&["http://b", "http://a"], &before[..1]), allowed);
        let more =
            "access-control-allow-methods: OPTIONS, PUT|access-control-max-age: 600|access-control-allow-headers: x-b";
        assert_eq!(tell(&["http://a"], &before), format!("{allowed}|{more}"));
    }

    #[test]
    fn messages_are_shown_to_those_who_may_see_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n").unwrap();
        let outcome = |auth: bool, token: bool, lines: &[&str]| {
            let gate = gate(|options| {
                options.auth_http_addresses = if auth { vec!["a:1".to_owned()] } else { Vec::new() };
                options.http_token_file = if token { file.path().to_owned() } else { Default::default() };
            });
            gate.unwrap().admit(&headers(lines)).map_err(|refused| {
                assert!(!refused.message.contains("secret"));
                let code = refused.message.split(':').next().unwrap().to_owned();
                (refused.status.as_u16(), code)
            })
        };
        let refused = |status, code: &str| Err((status, code.to_owned()));
        let (right, wrong) = (&["authorization: Bearer secret"][..], &["authorization: Bearer x"][..]);
        for lines in [&[], right, wrong] {
            assert_eq!(outcome(false, false, lines), Ok(()));
            assert_eq!(outcome(true, false, lines), refused(403, "MESSAGES_CLOSED"));
        }
        for auth in [false, true] {
            assert_eq!(outcome(auth, true, right), Ok(()));
            assert_eq!(outcome(auth, true, wrong), refused(401, "TOKEN_WRONG"));
            assert_eq!(outcome(auth, true, &[]), refused(401, "TOKEN_MISSING"));
        }
        assert_eq!(outcome(false, false, &["origin: http://evil.example"]), refused(403, "FOREIGN_ORIGIN"));
    }

    #[test]
    fn flags_of_which_no_gate_can_be_made_are_refused() {
        for bad in ["a:1", "http://a", "", "a/b", "a b", "u@a", "[::1]:1"] {
            let said = gate(|options| options.http_allowed_hosts = vec![bad.to_owned()]).unwrap_err();
            assert!(said.starts_with(&format!("--http-allowed-host {bad:?} is not")), "{said}");
        }
        for bad in ["tools.example", "https://a/", "null", "*", ""] {
            let said = gate(|options| options.http_allowed_origins = vec![bad.to_owned()]).unwrap_err();
            assert!(said.starts_with(&format!("--http-allowed-origin {bad:?} is not")), "{said}");
        }
        let said = gate(|options| options.http_token_file = "/nowhere/token".into()).unwrap_err();
        assert_eq!(said, "--http-token-file /nowhere/token: No such file or directory (os error 2)");
    }
}
