//! The types an option may have: how each reads a flag, a config-file value, and prints.
//!
//! A type that implements [`OptionValue`] can be a field of an option table. Enumerations implement [`Choice`] and
//! get the rest.

use super::number::{parse_bool, parse_integer};
use super::{format_duration, parse_duration};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use toml::Value;

/// Why a value was refused, without the value, the option or what would have been accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue(String);

impl BadValue {
    /// A reason that reads well after a colon.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    fn wrong_type(value: &Value) -> Self {
        Self(format!("{} found", with_article(value.type_str())))
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// What can be said about a type of option.
#[derive(Debug, Clone)]
pub struct Kind {
    /// What stands for the value in the help page.
    pub placeholder: &'static str,
    /// What is accepted, in words.
    pub accepts: Cow<'static, str>,
    /// The flag may stand alone, meaning `true`, and never takes the next word as its value.
    pub switch: bool,
    /// The flag may be given several times, each adding to the list.
    pub repeatable: bool,
    /// The value is a path in the file system.
    pub path: bool,
    /// All values, when they can be listed.
    pub choices: Vec<&'static str>,
}

impl Kind {
    /// A plain kind of value.
    pub fn new(accepts: impl Into<Cow<'static, str>>) -> Self {
        let accepts = accepts.into();
        Self { placeholder: "TEXT", accepts, switch: false, repeatable: false, path: false, choices: Vec::new() }
    }
}

/// A type that an option may have.
pub trait OptionValue {
    /// What kind of value this is.
    fn kind(&self) -> Kind;

    /// Takes one occurrence of the flag. A list grows, anything else is replaced. Unchanged on error.
    fn set_text(&mut self, text: &str) -> Result<(), BadValue>;

    /// Takes the value of the config file, in place of the one before. Only strings, unless a type says otherwise.
    fn set_toml(&mut self, value: &Value) -> Result<(), BadValue> {
        match value {
            Value::String(text) => self.set_text(text),
            other => Err(BadValue::wrong_type(other)),
        }
    }

    /// For people: as one would write it on the command line.
    fn show(&self) -> String;

    /// For `GET /config/:opt`: strings as they are, the rest as JSON.
    fn encode(&self) -> String {
        self.show()
    }
}

impl OptionValue for bool {
    fn kind(&self) -> Kind {
        Kind { placeholder: "BOOL", switch: true, ..Kind::new("true or false") }
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        *self = parse_bool(text).ok_or_else(|| BadValue::new("not a boolean"))?;
        Ok(())
    }

    /// Whole numbers 1 and 0 are true and false; nsqd has them the wrong way round (go-options, `coerceBool`).
    fn set_toml(&mut self, value: &Value) -> Result<(), BadValue> {
        match value {
            Value::Boolean(value) => *self = *value,
            Value::Integer(value @ (0 | 1)) => *self = *value == 1,
            Value::String(text) => self.set_text(text)?,
            other => return Err(BadValue::wrong_type(other)),
        }
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Whole numbers: those from 0 stop at what the reference can hold.
macro_rules! integer_option {
    ($type:ty, $min:expr, $max:expr, $accepts:literal) => {
        impl OptionValue for $type {
            fn kind(&self) -> Kind {
                Kind { placeholder: "N", ..Kind::new($accepts) }
            }

            fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
                self.set_toml(&Value::Integer(parse_integer(text).map_err(BadValue::new)?))
            }

            fn set_toml(&mut self, value: &Value) -> Result<(), BadValue> {
                match value {
                    Value::Integer(n) if *n < $min => Err(BadValue::new("value is too small")),
                    Value::Integer(n) if *n > $max => Err(BadValue::new("value is too large")),
                    Value::Integer(n) => {
                        *self = *n as $type; // exact: within the bounds just checked
                        Ok(())
                    }
                    Value::String(text) => self.set_text(text),
                    other => Err(BadValue::wrong_type(other)),
                }
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    };
}

integer_option!(i64, i64::MIN, i64::MAX, "a whole number");
integer_option!(u64, 0, i64::MAX, "a whole number, 0 or more");
integer_option!(u16, 0, 65_535, "a port number, 0 to 65535");

impl OptionValue for Duration {
    fn kind(&self) -> Kind {
        Kind { placeholder: "DURATION", ..Kind::new("a duration such as 250ms, 5s or 1h30m") }
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        *self = parse_duration(text).map_err(BadValue::new)?;
        Ok(())
    }

    /// A whole number means milliseconds.
    fn set_toml(&mut self, value: &Value) -> Result<(), BadValue> {
        match value {
            Value::Integer(millis) => self.set_text(&format!("{millis}ms")),
            Value::String(text) => self.set_text(text),
            other => Err(BadValue::wrong_type(other)),
        }
    }

    fn show(&self) -> String {
        format_duration(*self)
    }

    fn encode(&self) -> String {
        self.as_nanos().to_string()
    }
}

impl OptionValue for String {
    fn kind(&self) -> Kind {
        Kind::new("a text")
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        text.clone_into(self);
        Ok(())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

/// A path; empty when not given.
impl OptionValue for PathBuf {
    fn kind(&self) -> Kind {
        Kind { placeholder: "PATH", path: true, ..Kind::new("a path") }
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        *self = text.into();
        Ok(())
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// A list: one element per flag, an array in the config file, or there a text with commas.
impl OptionValue for Vec<String> {
    fn kind(&self) -> Kind {
        Kind { repeatable: true, ..Kind::new("a text, or an array of texts") }
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        if !text.is_empty() {
            self.push(text.to_owned());
        }
        Ok(())
    }

    fn set_toml(&mut self, value: &Value) -> Result<(), BadValue> {
        *self = match value {
            Value::String(text) => text.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            Value::Array(values) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| BadValue::wrong_type(value)))
                .collect::<Result<_, _>>()?,
            other => return Err(BadValue::wrong_type(other)),
        };
        Ok(())
    }

    fn show(&self) -> String {
        self.join(",")
    }

    fn encode(&self) -> String {
        serde_json::Value::from(self.as_slice()).to_string()
    }
}

/// Percentiles to track, largest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Percentiles(pub Vec<f64>);

impl Percentiles {
    fn add(&mut self, mut more: Vec<f64>) {
        self.0.append(&mut more);
        self.0.sort_by(|a, b| b.total_cmp(a));
    }
}

fn parse_float(text: &str) -> Result<f64, BadValue> {
    text.trim().parse().map_err(|_| BadValue::new(format_args!("{text:?} is not a number")))
}

fn parse_floats(text: &str) -> Result<Vec<f64>, BadValue> {
    text.split(',').map(parse_float).collect()
}

impl OptionValue for Percentiles {
    fn kind(&self) -> Kind {
        let accepts = "numbers above 0 and up to 1, separated by commas";
        Kind { placeholder: "P,...", repeatable: true, ..Kind::new(accepts) }
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        self.add(parse_floats(text)?);
        Ok(())
    }

    fn set_toml(&mut self, value: &Value) -> Result<(), BadValue> {
        let floats = match value {
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) => parse_floats(text)?,
            Value::Float(value) => vec![*value],
            Value::Integer(value) => vec![*value as f64],
            Value::Array(values) => values
                .iter()
                .map(|value| match value {
                    Value::Float(value) => Ok(*value),
                    Value::Integer(value) => Ok(*value as f64),
                    Value::String(text) => parse_float(text),
                    other => Err(BadValue::wrong_type(other)),
                })
                .collect::<Result<_, _>>()?,
            other => return Err(BadValue::wrong_type(other)),
        };
        self.0.clear();
        self.add(floats);
        Ok(())
    }

    fn show(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    fn encode(&self) -> String {
        format!("[{}]", self.show())
    }
}

/// An enumeration of which one value is chosen by name, in any letter case.
pub trait Choice: Copy + PartialEq + 'static {
    /// Each value with its name, in the order they are listed.
    const NAMES: &'static [(&'static str, Self)];
    /// The flag is a switch: alone it means `true`.
    const SWITCH: bool = false;
    /// What an empty text stands for, if it is allowed.
    const EMPTY: Option<Self> = None;

    /// The value called `text`.
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Self::EMPTY;
        }
        Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
    }

    /// The name; empty if the value has none.
    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }

    /// For `GET /config/:opt`.
    fn encode(self) -> String {
        self.name().to_owned()
    }
}

impl<T: Choice> OptionValue for T {
    fn kind(&self) -> Kind {
        let choices: Vec<_> = T::NAMES.iter().map(|(name, _)| *name).collect();
        Kind {
            placeholder: "CHOICE",
            switch: T::SWITCH,
            ..Kind { choices: choices.clone(), ..Kind::new(choices.join(", ")) }
        }
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        *self = T::parse(text).ok_or_else(|| BadValue::new("no such choice"))?;
        Ok(())
    }

    fn set_toml(&mut self, value: &Value) -> Result<(), BadValue> {
        match value {
            Value::String(text) => self.set_text(text),
            Value::Boolean(value) if T::SWITCH => self.set_text(&value.to_string()),
            Value::Integer(value) if T::SWITCH => self.set_text(&value.to_string()),
            other => Err(BadValue::wrong_type(other)),
        }
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }

    fn encode(&self) -> String {
        Choice::encode(*self)
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
