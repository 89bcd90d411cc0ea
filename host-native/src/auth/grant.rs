//! What an auth server answers: who a client is, and what it may do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;
use sansq_core::session::{Grant, Permissions};
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use super::pattern::{self, BadPattern};

/// Why an answer is of no use. Says nothing of what is in it: it may be anything.
#[derive(Debug, Error)]
pub(super) enum BadAnswer {
    #[error("it is not what it should be, at line {} column {}", .0.line(), .0.column())]
    Json(serde_json::Error),
    #[error("it has the ttl {0}, and should have one above 0")]
    Ttl(i64),
    #[error("it has a permission that is neither subscribe nor publish")]
    Permission,
    #[error("it has a regular expression that cannot be used: {0}")]
    Pattern(#[from] BadPattern),
}

/// Names may be missing, and what is null is missing. The rest of an object is what keeps serde from taking a list for one.
#[derive(Deserialize)]
struct Answer {
    ttl: Option<i64>,
    identity: Option<String>,
    identity_url: Option<String>,
    authorizations: Option<Vec<Option<Authorization>>>,
    #[serde(flatten)]
    _rest: BTreeMap<String, IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Authorization {
    topic: Option<String>,
    channels: Option<Vec<Option<String>>>,
    permissions: Option<Vec<Option<String>>>,
    #[serde(flatten)]
    _rest: BTreeMap<String, IgnoredAny>,
}

/// What `body` grants.
pub(super) fn grant(body: &[u8]) -> Result<Grant, BadAnswer> {
    let answer: Answer = serde_json::from_slice(body).map_err(BadAnswer::Json)?;
    let ttl = answer.ttl.unwrap_or(0);
    let seconds = u64::try_from(ttl).ok().filter(|ttl| *ttl > 0).ok_or(BadAnswer::Ttl(ttl))?;
    let authorizations = answer.authorizations.unwrap_or_default().into_iter().map(Option::unwrap_or_default);
    let rules = authorizations.map(|it| Rule::new(&it)).collect::<Result<Vec<_>, _>>()?;
    Ok(Grant {
        identity: answer.identity.unwrap_or_default(),
        identity_url: answer.identity_url.unwrap_or_default(),
        permission_count: rules.len(),
        ttl: Duration::from_secs(seconds),
        permissions: Arc::new(Rules(rules)),
    })
}

#[derive(Debug)]
struct Rules(Vec<Rule>);

impl Permissions for Rules {
    fn allow(&self, topic: &str, channel: Option<&str>) -> bool {
        self.0.iter().any(|rule| rule.allows(topic, channel))
    }
}

#[derive(Debug)]
struct Rule {
    topic: Regex,
    channels: Vec<Regex>,
    subscribe: bool,
    publish: bool,
}

impl Rule {
    fn new(authorization: &Authorization) -> Result<Self, BadAnswer> {
        let compile = |pattern: &Option<String>| pattern::compile(pattern.as_deref().unwrap_or_default());
        let mut rule = Self {
            topic: compile(&authorization.topic)?,
            channels: authorization.channels.iter().flatten().map(compile).collect::<Result<_, _>>()?,
            subscribe: false,
            publish: false,
        };
        for permission in authorization.permissions.iter().flatten() {
            match permission.as_deref() {
                Some("subscribe") => rule.subscribe = true,
                Some("publish") => rule.publish = true,
                _ => return Err(BadAnswer::Permission),
            }
        }
        Ok(rule)
    }

    /// Who publishes does so to a channel without a name: one of the channels has to match that, too.
    fn allows(&self, topic: &str, channel: Option<&str>) -> bool {
        let permitted = if channel.is_some() { self.subscribe } else { self.publish };
        let channel = channel.unwrap_or_default().as_bytes();
        permitted && self.topic.is_match(topic.as_bytes()) && self.channels.iter().any(|it| it.is_match(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(json: &str) -> Result<Grant, String> {
        grant(json.as_bytes()).map_err(|bad| bad.to_string())
    }

    #[test]
    fn an_answer_says_what_is_permitted() {
        let grant = granted(
            r#"{"ttl": 60, "identity": "ann", "identity_url": "http://ann", "authorizations": [
                {"topic": "^a$", "channels": ["^c$"], "permissions": ["subscribe", "publish"], "more": 1},
                {"topic": "b", "channels": [".*"], "permissions": ["publish"]},
                {"topic": "d", "permissions": ["publish", "subscribe"]}]}"#,
        )
        .unwrap();
        assert_eq!((grant.identity.as_str(), grant.identity_url.as_str()), ("ann", "http://ann"));
        assert_eq!((grant.permission_count, grant.ttl), (3, Duration::from_secs(60)));
        let allows = |topic, channel| grant.permissions.allow(topic, channel);
        assert!(allows("a", Some("c")) && !allows("a", Some("cc")) && !allows("aa", Some("c")));
        assert!(!allows("a", None), "no channel of the rule matches none");
        assert!(allows("xbx", None) && !allows("xbx", Some("c")), "unanchored, publish only");
        assert!(!allows("d", None) && !allows("d", Some("c")), "without channels nothing is permitted");
    }

    #[test]
    fn what_is_null_is_missing() {
        let grant = granted(r#"{"ttl": 1, "identity": null, "identity_url": null, "authorizations": null}"#).unwrap();
        assert_eq!((grant.permission_count, grant.identity.as_str()), (0, ""));
        let nulls =
            r#"{"ttl": 1, "authorizations": [null, {"topic": null, "channels": [null], "permissions": ["publish"]}]}"#;
        let grant = granted(nulls).unwrap();
        assert!(grant.permission_count == 2 && grant.permissions.allow("t", None));
    }

    #[test]
    fn answers_that_are_none_are_refused_with_a_reason() {
        for (json, why) in [
            ("", "not what it should be"),
            (r#"{"authorizations": []}"#, "the ttl 0"),
            (r#"{"ttl": -1}"#, "the ttl -1"),
            (r#"{"ttl": "60"}"#, "not what it should be, at line 1"),
            (r#"{"ttl": 1, "authorizations": [[".*", [".*"], ["publish"]]]}"#, "not what it should be"),
            (r#"[1, "ann", "", []]"#, "not what it should be"),
            (r#"{"ttl": 1, "authorizations": [{"permissions": ["read"]}]}"#, "a permission that is neither"),
            (r#"{"ttl": 1, "authorizations": [{"topic": "("}]}"#, "cannot be used: unclosed group"),
        ] {
            let said = granted(json).err().unwrap_or_else(|| panic!("{json} is granted"));
            assert!(said.contains(why), "{json}: {said}");
        }
    }
}
