//! Whether what came is what was expected.

use anyhow::{Result, bail};
use serde_json::Value;

use super::step::{Expect, Text};
use super::text::{Item, Template, Variables, expand};
use crate::bytes::{fits, show};
use crate::wire::{Frame, Message};

/// A mismatch as shown in failures.
pub(super) fn mismatch(expected: &str, got: &str) -> anyhow::Error {
    anyhow::anyhow!("expected: {expected}\n     got: {got}")
}

impl Text {
    /// Fails with both texts unless `bytes` are what this text says. `kind` names them in the failure.
    pub(super) fn check(&self, kind: &str, bytes: &[u8], variables: &Variables) -> Result<()> {
        if self.holds(bytes, variables)? {
            return Ok(());
        }
        Err(mismatch(&self.describe(kind, variables)?, &format!("{kind} {}", show(bytes))))
    }

    /// Whether `bytes` are what this text says.
    pub(super) fn holds(&self, bytes: &[u8], variables: &Variables) -> Result<bool> {
        Ok(match self {
            Text::Exactly(items) => expand(items, variables)? == bytes,
            Text::Like(pattern) => fits(&pattern.expand(variables)?, bytes),
        })
    }

    /// The text in words.
    pub(super) fn describe(&self, kind: &str, variables: &Variables) -> Result<String> {
        Ok(match self {
            Text::Exactly(items) => format!("{kind} {}", show(&expand(items, variables)?)),
            Text::Like(pattern) => format!("{kind} like {}", show(&pattern.expand(variables)?)),
        })
    }
}

impl Expect {
    /// The expectation in words.
    pub(super) fn describe(&self, variables: &Variables) -> Result<String> {
        match self {
            Expect::Response(text) => text.describe("response", variables),
            Expect::Error(text) => text.describe("error", variables),
            Expect::Maybe(expect) => Ok(format!("perhaps {}", expect.describe(variables)?)),
            Expect::Message { fields, .. } => Ok(format!("message{}", describe_fields(fields, variables)?)),
            Expect::Messages { fields, bodies, .. } => {
                Ok(format!("{} messages{}", bodies.len(), describe_fields(fields, variables)?))
            }
            Expect::Closed => Ok("the connection is closed".to_owned()),
        }
    }
}

fn describe_fields(fields: &[(String, Template)], variables: &Variables) -> Result<String> {
    fields.iter().map(|(key, value)| Ok(format!(" {key}={}", show(&value.expand(variables)?)))).collect()
}

/// Checks a frame that is no message against an expectation of a response or an error.
pub(super) fn check_frame(expect: &Expect, frame: &Frame, variables: &Variables) -> Result<()> {
    match (expect, frame) {
        (Expect::Response(text), Frame::Response(body)) => text.check("response", body, variables),
        (Expect::Error(text), Frame::Error(body)) => text.check("error", body, variables),
        _ => Err(mismatch(&expect.describe(variables)?, &format!("{frame:?}"))),
    }
}

/// Checks the fields of a message.
pub(super) fn check_message(fields: &[(String, Template)], message: &Message, variables: &Variables) -> Result<()> {
    for (key, value) in fields {
        let expected = value.expand(variables)?;
        let got = match key.as_str() {
            "attempts" => message.attempts.to_string().into_bytes(),
            "timestamp" => message.timestamp.to_string().into_bytes(),
            "id" => message.id.clone().into_bytes(),
            "body" => message.body.clone(),
            _ => bail!("a message has no {key}"),
        };
        if got != expected {
            return Err(mismatch(&format!("message {key}={}", show(&expected)), &format!("{message:?}")));
        }
    }
    Ok(())
}

/// Which of `bodies` is the body of `message`; those already `taken` don't count.
pub(super) fn which_body(bodies: &[Item], taken: &[usize], message: &Message, variables: &Variables) -> Result<usize> {
    for (index, item) in bodies.iter().enumerate() {
        if !taken.contains(&index) && expand(std::slice::from_ref(item), variables)? == message.body {
            return Ok(index);
        }
    }
    Err(mismatch("a message with one of the remaining bodies", &format!("{message:?}")))
}

/// Makes a message's fields known as `$name.id` and so on.
pub(super) fn remember(name: &str, message: &Message, variables: &mut Variables) {
    variables.insert(format!("{name}.id"), message.id.clone().into_bytes());
    variables.insert(format!("{name}.timestamp"), message.timestamp.to_string().into_bytes());
    variables.insert(format!("{name}.attempts"), message.attempts.to_string().into_bytes());
    variables.insert(format!("{name}.body"), message.body.clone());
}

/// The value at a path like `topics.0.depth`; `length` counts an array, a missing key is `absent`.
pub(super) fn at(value: &Value, path: &str) -> String {
    let mut value = value;
    for key in path.split('.') {
        let next = match value {
            Value::Array(elements) if key == "length" => return elements.len().to_string(),
            Value::Array(elements) => key.parse::<usize>().ok().and_then(|index| elements.get(index)),
            Value::Object(fields) => fields.get(key),
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return "absent".to_owned(),
        }
    }
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The element of `list` whose `key` is `name`.
pub(super) fn named<'a>(list: &'a Value, key: &str, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|element| element.get(key).and_then(Value::as_str) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_walk_json() {
        let value = serde_json::json!({"topics": [{"name": "a", "depth": 3}], "none": null});
        assert_eq!(at(&value, "topics.0.depth"), "3");
        assert_eq!(at(&value, "topics.length"), "1");
        assert_eq!(at(&value, "none"), "null");
        assert_eq!(at(&value, "topics.1.depth"), "absent");
    }
}
