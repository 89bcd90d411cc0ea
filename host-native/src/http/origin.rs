//! Which web page asked for a request: one of ours, or one of another site that makes a browser act for its user.
//!
//! [`is_foreign`] decides, from the request's headers alone. A browser says whose page asks, in `Sec-Fetch-Site` and in
//! `Origin`; programs say neither, and are never foreign. The address that the page was read from is compared with every
//! address that this request was sent to, as the proxies on its way tell it: `Host`, `X-Forwarded-Host`,
//! `X-Original-Host` and `Forwarded`, with the ports of `X-Forwarded-Port`. Any of them may match. That is safe: a page
//! cannot set these headers on a request to another site unless that site agrees (CORS), and we never do.
//!
//! Proxies lose parts of an address, so the comparison goes by what is known:
//! - Many send the name alone on (nginx: `proxy_set_header Host $host`). A name without a port then stands for all ports,
//!   unless `X-Forwarded-Port` tells one that is not 80 or 443. What this lets in is a page on another port of that host.
//! - TLS usually ends at a proxy, so `https` in `Origin` is right whatever the last connection was. But `http` is another
//!   site where all proxies say that the browser spoke `https`.
//!
//! Deliberately absent: whether `Host` is a name of ours. That is another question (DNS rebinding), with another answer.

use std::net::Ipv6Addr;

use hyper::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// What Azure's gateway calls it.
const X_ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-original-host");

/// Where a page comes from: `https://nsq.example:8443`. Names and schemes are in lower case, IPv6 addresses in their
/// shortest form, and a port that is the scheme's own is left out, so that equal origins are equal values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    /// `None` for the scheme's own port.
    port: Option<u16>,
}

impl Origin {
    /// Reads an origin as browsers write it. `None` for `null`, for what has a path or a user, and for nonsense.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let Authority { host, port } = Authority::parse(authority)?;
        let port = port.filter(|port| default_port(&scheme) != Some(*port));
        Some(Self { scheme, host, port })
    }

    /// The port, be it written or the scheme's own.
    fn port(&self) -> Option<u16> {
        self.port.or(default_port(&self.scheme))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// A name or an address, and perhaps a port, as in `Host`.
pub(crate) struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads the value of `Host`; `None` for nonsense.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // The colons of an IPv6 address are inside its brackets.
        let name_end = text.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match text[name_end..].find(':') {
            Some(colon) => (&text[..name_end + colon], parse_port(&text[name_end + colon + 1..])?),
            None => (text, None),
        };
        Some(Self { host: normal_host(host)?, port })
    }

    /// The name in lower case, or the address; one of IPv6 in its brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port that is named.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether a page of `origin` was read from this address; `ports` are those of `X-Forwarded-Port`.
    fn is_of(&self, origin: &Origin, ports: &[u16]) -> bool {
        if self.host != origin.host {
            return false;
        }
        let forwarded = origin.port().is_some_and(|port| ports.contains(&port));
        match self.port {
            // TLS ended before the proxy that wrote its own port behind the name (`$host:$server_port`).
            Some(80) if origin.port.is_none() => true,
            Some(_) => self.port == origin.port() || forwarded,
            // A proxy in a container listens on 80, and says so, whatever port the container is reached by.
            None => origin.port.is_none() || forwarded || ports.iter().all(|port| matches!(port, 80 | 443)),
        }
    }
}

/// The port behind a colon; no digits at all are no port, as in a URL.
fn parse_port(digits: &str) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten().map(Some)
}

/// The name in lower case, or the IPv6 address in its shortest form; `None` for what is neither.
fn normal_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"/\\?#@[],;\"".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then(|| host.to_ascii_lowercase())
}

/// Whether a browser says that a page of another site asked for what `headers` belong to. Pages of `allowed` are not
/// foreign.
pub(crate) fn is_foreign(headers: &HeaderMap, allowed: &[Origin]) -> bool {
    let origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
    let origin = match origins[..] {
        [one] => one.to_str().ok().and_then(Origin::parse),
        _ => None,
    };
    if origin.as_ref().is_some_and(|origin| allowed.contains(origin)) {
        return false;
    }
    match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => return false,
        // The browser has compared them itself, and knows what it asked for.
        Some(b"cross-site" | b"same-site") => return true,
        Some(_) | None => {}
    }
    match origin {
        Some(origin) => !is_ours(&origin, headers),
        // An origin that is `null`, or none that can be read, is somebody's; none at all is a program's.
        None => !origins.is_empty(),
    }
}

/// Whether a page of `origin` was read from one of the addresses that the request was sent to.
fn is_ours(origin: &Origin, headers: &HeaderMap) -> bool {
    let forwarded = forwarded(headers);
    let of_forwarded = |wanted: &'static str| {
        forwarded.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    let mut schemes = listed(headers, &X_FORWARDED_PROTO).chain(of_forwarded("proto")).peekable();
    if origin.scheme == "http" && schemes.peek().is_some() && schemes.all(|it| it.eq_ignore_ascii_case("https")) {
        return false;
    }
    let ports: Vec<u16> = listed(headers, &X_FORWARDED_PORT).filter_map(|port| port.parse().ok()).collect();
    let names = [HOST, X_FORWARDED_HOST, X_ORIGINAL_HOST];
    let mut hosts = names.iter().flat_map(|name| listed(headers, name)).chain(of_forwarded("host"));
    hosts.any(|host| Authority::parse(host).is_some_and(|host| host.is_of(origin, &ports)))
}

/// The parts of all headers of that name, each of which may be a list with commas.
fn listed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|part| !part.is_empty())
}

/// The pairs in all `Forwarded` headers (RFC 7239): `for=10.0.0.1;host="nsq.example:8443";proto=https, for=...`.
fn forwarded(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for value in headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok()) {
        let (mut pair, mut quoted, mut rest) = (String::new(), false, value.chars());
        while let Some(char) = rest.next() {
            match char {
                '"' => quoted = !quoted,
                '\\' if quoted => pair.extend(rest.next()),
                ',' | ';' if !quoted => pairs.push(std::mem::take(&mut pair)),
                _ => pair.push(char),
            }
        }
        pairs.push(pair);
    }
    let split =
        |pair: &String| pair.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    pairs.iter().filter_map(split).collect()
}

/// What `headers` say of the page that asked and of the addresses it may have been read from, for the log.
pub(crate) fn describe(headers: &HeaderMap) -> String {
    let told = |name: &HeaderName| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (!values.is_empty()).then(|| format!("{name}: {:?}", values.join(", ")))
    };
    let names = [
        SEC_FETCH_SITE,
        ORIGIN,
        HOST,
        X_FORWARDED_HOST,
        X_ORIGINAL_HOST,
        X_FORWARDED_PORT,
        X_FORWARDED_PROTO,
        FORWARDED,
    ];
    names.iter().filter_map(told).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers of a request with these lines.
    fn headers(lines: &[&str]) -> HeaderMap {
        let pair = |line: &&str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in lines.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn our_pages_are_known_behind_proxies() {
        for lines in [
            // Programs.
            &[][..],
            &["Host: adm:4171"],
            // No proxy, or one that passes Host on.
            &["Host: adm:4171", "Origin: http://adm:4171"],
            &["Host: ADM:4171", "Origin: http://adm:4171"],
            &["Host: adm:4171", "Origin: https://ADM:4171"],
            &["Host: adm", "Origin: https://adm"],
            &["Host: 10.0.0.1:4171", "Origin: http://10.0.0.1:4171"],
            &["Host: [::1]:4171", "Origin: http://[::1]:4171"],
            &["Host: [2001:DB8:0:0::1]", "Origin: https://[2001:db8::1]:8443"],
            // nginx: proxy_set_header Host $host.
            &["Host: adm", "Origin: http://adm:8080"],
            &["Host: adm", "Origin: https://adm:8443", "X-Forwarded-Proto: https"],
            &["Host: [::1]", "Origin: http://[::1]:8080"],
            // nginx: proxy_set_header Host $host:$server_port, and others that name the default port.
            &["Host: adm:80", "Origin: http://adm"],
            &["Host: adm:443", "Origin: https://adm"],
            &["Host: adm:80", "Origin: https://adm", "X-Forwarded-Proto: https"],
            &["Host: adm", "Origin: https://adm:443"],
            &["Host: [::1]:443", "Origin: https://[::1]"],
            // A proxy that asks under another name and says which it was asked for.
            &["Host: 10.0.0.1:4171", "X-Forwarded-Host: adm", "Origin: https://adm"],
            &["Host: inside", "X-Forwarded-Host: adm:8443", "Origin: https://adm:8443"],
            &["Host: inside", "X-Forwarded-Host: ADM , middle:81", "Origin: https://adm"],
            &["Host: inside", "X-Forwarded-Host: outer.example, adm", "Origin: https://adm"],
            &["Host: inside", "X-Forwarded-Host: outer", "X-Forwarded-Host: adm", "Origin: https://adm"],
            &["Host: inside", "X-Original-Host: adm", "Origin: https://adm"],
            // The port comes by itself.
            &["Host: adm", "X-Forwarded-Port: 8443", "Origin: https://adm:8443"],
            &["Host: adm:4171", "X-Forwarded-Port: 8443", "Origin: https://adm:8443"],
            &["Host: adm:4171", "X-Forwarded-Port: 443", "Origin: https://adm"],
            &["Host: inside:1", "X-Forwarded-Host: adm", "X-Forwarded-Port: 8443, 80", "Origin: https://adm:8443"],
            // The port is that of a proxy further in.
            &["Host: adm", "X-Forwarded-Port: 8080", "Origin: https://adm"],
            &["Host: adm", "X-Forwarded-Port: 80", "Origin: http://adm:8080"],
            &["Host: adm:8443", "X-Forwarded-Port: 80", "Origin: https://adm:8443"],
            &["Host: adm", "X-Forwarded-Port: nonsense", "Origin: https://adm:8443"],
            // Inner proxies say http where the browser spoke https.
            &["Host: adm", "X-Forwarded-Proto: http", "Origin: https://adm"],
            &["Host: adm", "X-Forwarded-Proto: https, http", "Origin: http://adm"],
            // RFC 7239.
            &["Host: inside", "Forwarded: for=192.0.2.60;proto=http;host=adm", "Origin: http://adm"],
            &["Host: inside", "Forwarded: for=\"[2001:db8::1]:4\"; Host=\"ADM:8443\"", "Origin: https://adm:8443"],
            &["Host: inside", "Forwarded: for=_a;host=\"[::1]:8443\", for=b", "Origin: https://[::1]:8443"],
            &["Host: inside", "Forwarded: for=a, for=b;host=\"a\\dm\"", "Origin: https://adm"],
            // Browsers that say it themselves.
            &["Host: inside:1", "Origin: https://adm", "Sec-Fetch-Site: same-origin"],
            &["Host: inside:1", "Sec-Fetch-Site: none"],
            &["Host: adm", "Origin: https://adm", "Sec-Fetch-Site: something-new"],
        ] {
            assert!(!is_foreign(&headers(lines), &[]), "{lines:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_foreign_whatever_proxies_say() {
        for lines in [
            &["Host: adm:4171", "Origin: http://evil.example"][..],
            &["Host: adm", "Origin: http://evil.example:4171"],
            &["Host: adm", "Origin: http://adm.evil.example"],
            &["Host: adm", "Origin: http://evil.adm"],
            &["Host: adm", "Origin: http://ad"],
            &["Host: adm", "Origin: http://adm@evil.example"],
            &["Host: adm", "Origin: http://evil.example/adm"],
            &["Host: adm", "Origin: http://evil.example:80:adm"],
            &["Host: adm:4171", "Origin: null"],
            &["Host: null", "Origin: null"],
            &["Host: adm", "Origin: "],
            &["Host: adm", "Origin: adm"],
            &["Host: adm", "Origin: http://"],
            &["Host: adm", "Origin: http://adm", "Origin: http://evil.example"],
            &["Host: adm", "Origin: http://adm, http://evil.example"],
            &["Host: adm", "Origin: chrome-extension://evil"],
            &["Origin: http://adm"],
            // Another port of the same host, where the port is known.
            &["Host: adm:4171", "Origin: http://adm"],
            &["Host: adm:4171", "Origin: http://adm:8080"],
            &["Host: adm:443", "Origin: http://adm"],
            &["Host: adm:80", "Origin: http://adm:8080"],
            &["Host: adm", "X-Forwarded-Port: 8443", "Origin: https://adm:9443"],
            &["Host: adm:65536", "Origin: http://adm:65536"],
            &["Host: adm:+80", "Origin: http://adm"],
            // Behind proxies.
            &["Host: inside", "X-Forwarded-Host: adm", "Origin: http://evil.example"],
            &["Host: inside", "X-Forwarded-Host: adm, middle", "Origin: http://evil.example"],
            &["Host: inside", "X-Forwarded-Host: adm", "X-Forwarded-Port: 80", "Origin: http://evil.example"],
            &["Host: inside", "Forwarded: for=evil.example;by=evil.example;host=adm", "Origin: http://evil.example"],
            &["Host: inside", "Forwarded: host=\"evil.example\\", "Origin: http://adm"],
            &["Host: [::1]:4171", "Origin: http://[::2]:4171"],
            &["Host: [::1", "Origin: http://[::1"],
            // The browser's page was read without TLS, and nsqadmin's with it.
            &["Host: adm", "X-Forwarded-Proto: https", "Origin: http://adm"],
            &["Host: adm", "Forwarded: proto=HTTPS", "Origin: http://adm"],
            // Browsers that say it themselves.
            &["Sec-Fetch-Site: cross-site"],
            &["Host: adm", "Origin: http://adm", "Sec-Fetch-Site: cross-site"],
            &["Host: adm", "Origin: http://adm:8080", "Sec-Fetch-Site: same-site"],
            &["Host: adm", "Origin: http://evil.example", "Sec-Fetch-Site: something-new"],
        ] {
            assert!(is_foreign(&headers(lines), &[]), "{lines:?}");
        }
    }

    #[test]
    fn pages_of_allowed_origins_are_not_foreign() {
        let allowed: Vec<_> = ["https://Tools.example", "http://[::1]:80"].map(|it| Origin::parse(it).unwrap()).into();
        for (lines, foreign) in [
            (&["Host: q:4151", "Origin: https://tools.example", "Sec-Fetch-Site: cross-site"][..], false),
            (&["Host: q:4151", "Origin: https://tools.example:443"], false),
            (&["Host: q:4151", "Origin: http://[0::1]"], false),
            (&["Host: q:4151", "Origin: http://tools.example"], true),
            (&["Host: q:4151", "Origin: https://tools.example:444"], true),
            (&["Host: q:4151", "Origin: https://tools.example", "Origin: https://tools.example"], true),
            (&["Host: q:4151", "Origin: null"], true),
        ] {
            assert_eq!(is_foreign(&headers(lines), &allowed), foreign, "{lines:?}");
        }
        for text in
            ["null", "", "tools.example", "https://", "https://a/b", "https://u@a", "https://a:b", "https://[1]"]
        {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_log_learns_what_was_compared() {
        let lines = ["Host: q", "Origin: http://e", "X-Forwarded-Host: a", "X-Forwarded-Host: b\t"];
        assert_eq!(describe(&headers(&lines)), r#"origin: "http://e", host: "q", x-forwarded-host: "a, b\t""#);
    }
}
