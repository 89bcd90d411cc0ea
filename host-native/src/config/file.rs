//! The config file: TOML with one flat table of options.
//!
//! Keys that mean nothing are ignored, as in nsqd, but not in silence. An option given on the command line is not
//! even looked at here, so a flag gets around a bad line.

use super::flags::{all_flags, find_key, suggest};
use super::{FileError, Flag, OptionSet, Role, Source};
use std::path::Path;
use toml::{Table, Value};

/// Reads `path` and sets every option in it that no flag has set. Returns warnings.
pub(super) fn load<O: OptionSet>(path: &Path, options: &mut O) -> Result<Vec<String>, FileError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| FileError::Read { path: name.clone(), source })?;
    apply(&name, &text, options)
}

/// [`load`] for a text.
fn apply<O: OptionSet>(path: &str, text: &str, options: &mut O) -> Result<Vec<String>, FileError> {
    let table: Table = text.parse().map_err(|error| syntax_error(path, text, &error))?;
    let mut warnings = Vec::new();
    for (key, value) in &table {
        match find_key::<O>(key) {
            Some(flag) => set(path, key, value, flag, options)?,
            None => warnings.push(unknown_key::<O>(path, key, value)),
        }
    }
    Ok(warnings)
}

fn set<O: OptionSet>(
    path: &str,
    key: &str,
    value: &Value,
    flag: &'static Flag<O>,
    options: &mut O,
) -> Result<(), FileError> {
    let Role::Option { get_mut, .. } = flag.role else {
        return Ok(());
    };
    if options.sources().of(flag.name) == Source::Flag {
        return Ok(());
    }
    let field = get_mut(options);
    field.set_toml(value).map_err(|reason| FileError::BadValue {
        path: path.to_owned(),
        key: key.to_owned(),
        value: plain(value),
        reason,
        accepts: field.kind().accepts.into_owned(),
    })?;
    options.sources_mut().note(flag.name, Source::File);
    Ok(())
}

fn syntax_error(path: &str, text: &str, error: &toml::de::Error) -> FileError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    FileError::Syntax {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        message: error.message().replace('\n', ", "),
    }
}

/// A key may be known by the flag's name instead of its own; only then is it close to nothing else.
fn unknown_key<O: OptionSet>(path: &str, key: &str, value: &Value) -> String {
    let flag_name = key.replace('_', "-");
    let meant = all_flags::<O>()
        .find(|flag| flag.name == flag_name)
        .map(|flag| flag.config_key().map(String::from))
        .unwrap_or_else(|| suggest(key, all_flags::<O>().filter_map(|flag| flag.config_key().map(String::from))));
    let hint = match (meant, value) {
        (_, Value::Table(_)) => " (sections are not read: options stand at the top of the file)".to_owned(),
        (Some(meant), _) => format!(" (did you mean {meant:?}?)"),
        (None, _) => String::new(),
    };
    format!("config file {path}: unknown option {key:?} ignored{hint}")
}

/// A value as a person would say it: texts without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Datetime(value) => value.to_string(),
        Value::Array(values) => format!("[{}]", values.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Table(_) => "{...}".to_owned(),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
