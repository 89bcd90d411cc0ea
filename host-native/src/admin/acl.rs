//! Who may act. Everybody may look.

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName};

use crate::config::NsqadminOptions;
use crate::http::origin;
use crate::http::respond::Failure;

const FORBIDDEN: Failure = Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN");

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
    if origin::is_foreign(headers, &[]) {
        tracing::warn!(
            "refused an action that a page of another site asked for ({}); if it is a page of this nsqadmin, have the \
             proxy in front of it pass on what the browser sent as Host, or as X-Forwarded-Host",
            origin::describe(headers)
        );
        return Err(FORBIDDEN);
    }
    Ok(())
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
}
