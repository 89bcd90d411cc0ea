//! Who may act. Everybody may look.

use hyper::StatusCode;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use crate::config::NsqadminOptions;
use crate::http::respond::Failure;

const FORBIDDEN: Failure = Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The user that a proxy names.
pub(super) fn user<'h>(options: &NsqadminOptions, headers: &'h HeaderMap) -> Option<&'h str> {
    text(headers, &HeaderName::from_bytes(options.acl_http_header.as_bytes()).ok()?)
}

/// Whether who sent `headers` may act.
pub(super) fn is_admin(options: &NsqadminOptions, headers: &HeaderMap) -> bool {
    let named = |user: &str| options.admin_users.iter().any(|admin| admin == user);
    options.admin_users.is_empty() || user(options, headers).is_some_and(named)
}

/// Refuses those who may not act, and pages of other sites that make a browser act for somebody who may.
pub(super) fn check(options: &NsqadminOptions, headers: &HeaderMap) -> Result<(), Failure> {
    if !is_admin(options, headers) {
        return Err(FORBIDDEN);
    }
    if is_foreign(headers) {
        let of = |name| text(headers, name).unwrap_or_default();
        tracing::warn!(
            "refused a request from a page of {:?}, which is not {:?}; a proxy has to pass Host on, or X-Forwarded-Host",
            of(&ORIGIN),
            of(&HOST)
        );
        return Err(FORBIDDEN);
    }
    Ok(())
}

/// Whether a browser says that a page of another site sent this. Programs say nothing.
fn is_foreign(headers: &HeaderMap) -> bool {
    match text(headers, &SEC_FETCH_SITE) {
        Some("same-origin" | "none") => return false,
        Some("cross-site") => return true,
        Some(_) | None => {}
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let known = |name| text(headers, name).is_some_and(|host| origin.is_some_and(|it| it.eq_ignore_ascii_case(host)));
    !known(&HOST) && !known(&X_FORWARDED_HOST)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn admins_are_named() {
        let mut options = NsqadminOptions::default();
        assert!(is_admin(&options, &headers(&[])));
        options.admin_users = vec!["ann".to_owned(), "bob".to_owned()];
        assert!(!is_admin(&options, &headers(&[])));
        assert!(is_admin(&options, &headers(&[("x-forwarded-user", "bob")])));
        for other in ["Bob", "bob ,", "ann,bob", ""] {
            assert!(!is_admin(&options, &headers(&[("x-forwarded-user", other)])), "{other}");
        }
        options.acl_http_header = "Remote-User".to_owned();
        assert!(!is_admin(&options, &headers(&[("x-forwarded-user", "bob")])));
        assert!(is_admin(&options, &headers(&[("remote-user", "bob")])));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        for (lines, foreign) in [
            (&[][..], false),
            (&[("host", "adm:4171"), ("origin", "http://adm:4171")], false),
            (&[("host", "adm:4171"), ("origin", "https://ADM:4171")], false),
            (&[("host", "adm:4171"), ("origin", "http://adm")], true),
            (&[("host", "adm:4171"), ("origin", "http://evil.example")], true),
            (&[("host", "adm:4171"), ("origin", "null")], true),
            (&[("host", "10.0.0.1:4171"), ("x-forwarded-host", "adm"), ("origin", "https://adm")], false),
            (&[("host", "adm"), ("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")], true),
            (&[("host", "inside:1"), ("origin", "https://adm"), ("sec-fetch-site", "same-origin")], false),
            (&[("host", "adm"), ("origin", "https://other.adm"), ("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
        ] {
            assert_eq!(is_foreign(&headers(lines)), foreign, "{lines:?}");
        }
    }
}
