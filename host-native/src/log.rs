//! Log lines on standard error, in nsqd's form or as JSON.
//!
//! ```text
//! [nsqd] 2026/11/23 03:31:22.810152 INFO: TCP: listening on 127.0.0.1:4150
//! {"time":"2026-11-23T03:31:22.810152+00:00","level":"INFO","prefix":"[nsqd]","message":"TCP: listening on ..."}
//! ```
//!
//! Code logs with the macros of `tracing` and with [`fatal!`](crate::fatal); this module is where their events end up.
//! - A line that the level turns off costs one comparison with a number at its place in the code: a change of the
//!   level rebuilds `tracing`'s caches instead of being looked up for each line.
//! - A line is written with one call, so lines of several threads do not mix.
//! - Control characters in a text are escaped: whoever picks a client's name cannot write a log line of their own.
//! - Crates that are not ours are heard from WARNING up.
//!
//! Fields besides the message are appended as `key=value`. Spans are ignored. No rotation, no files: whoever starts the
//! daemon owns its standard error.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use thiserror::Error;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Target that marks an error as FATAL, a level `tracing` does not have.
pub const FATAL: &str = "fatal";

/// Logs why the process is about to end. Ending it is the caller's part.
#[macro_export]
macro_rules! fatal {
    ($($text:tt)+) => { ::tracing::error!(target: $crate::log::FATAL, $($text)+) };
}

/// How grave a line is, and the least grave that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LogLevel {
    /// For those who look into one connection or queue.
    Debug = 1,
    /// What the daemon does.
    Info = 2,
    /// Wrong, and handled.
    Warn = 3,
    /// Wrong, and something is lost or refused.
    Error = 4,
    /// The process ends.
    Fatal = 5,
}

impl LogLevel {
    /// As it stands in a line.
    pub fn label(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARNING",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    fn of(metadata: &Metadata<'_>) -> Self {
        match *metadata.level() {
            Level::TRACE | Level::DEBUG => Self::Debug,
            Level::INFO => Self::Info,
            Level::WARN => Self::Warn,
            Level::ERROR if metadata.target() == FATAL => Self::Fatal,
            Level::ERROR => Self::Error,
        }
    }
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// nsqd's.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// The level in force. Clones share it.
#[derive(Debug, Clone)]
pub struct LogHandle(Arc<AtomicU8>);

impl LogHandle {
    fn new(level: LogLevel) -> Self {
        Self(Arc::new(AtomicU8::new(level as u8)))
    }

    /// Writes lines of `level` and graver from now on, on every thread.
    pub fn set_level(&self, level: LogLevel) {
        self.0.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// The least grave level that is written.
    pub fn level(&self) -> LogLevel {
        match self.0.load(Ordering::Relaxed) {
            1 => LogLevel::Debug,
            2 => LogLevel::Info,
            3 => LogLevel::Warn,
            4 => LogLevel::Error,
            _ => LogLevel::Fatal,
        }
    }
}

/// Logging was started before.
#[derive(Debug, Error)]
#[error("logging was already started")]
pub struct AlreadyStarted;

/// Starts logging to standard error for the whole process.
pub fn init(prefix: &str, level: LogLevel, format: LogFormat) -> Result<LogHandle, AlreadyStarted> {
    let handle = LogHandle::new(level);
    let layer = LogLayer { line: Line::new(prefix, format), handle: handle.clone(), sink: Box::new(write_stderr) };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).map_err(|_| AlreadyStarted)?;
    Ok(handle)
}

/// Writes one FATAL line without logging having been started.
pub fn fatal_line(prefix: &str, message: &str) {
    let mut text = String::new();
    Line::new(prefix, LogFormat::Text).write(&mut text, LogLevel::Fatal, message, &[]);
    write_stderr(text.as_bytes());
}

/// Where to complain that standard error is gone? Nowhere: such errors are dropped.
fn write_stderr(line: &[u8]) {
    drop(std::io::stderr().write_all(line));
}

/// Where lines go: each in one call.
type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

/// The end of every event.
struct LogLayer {
    line: Line,
    handle: LogHandle,
    sink: Sink,
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = LogLevel::of(metadata);
        metadata.is_event() && level >= self.handle.level() && (level >= LogLevel::Warn || is_ours(metadata.target()))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.handle.level() {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error | LogLevel::Fatal => LevelFilter::ERROR,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local!(static BUFFER: Cell<String> = const { Cell::new(String::new()) });

        let mut parts = Parts::default();
        event.record(&mut parts);
        // Taken, not borrowed: should formatting a field log, that line gets a buffer of its own.
        let mut text = BUFFER.take();
        text.clear();
        self.line.write(&mut text, LogLevel::of(event.metadata()), &parts.message, &parts.fields);
        (self.sink)(text.as_bytes());
        BUFFER.set(text);
    }
}

/// Targets are module paths: of this package's crates, its binaries, or [`FATAL`].
fn is_ours(target: &str) -> bool {
    ["sansq", "nsq", "to_nsq", FATAL].iter().any(|ours| target.starts_with(ours))
}

/// What an event carries.
#[derive(Default)]
struct Parts {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => self.fields.push((name, value.to_owned())),
        }
    }
}

/// How lines look.
struct Line {
    prefix: String,
    format: LogFormat,
}

impl Line {
    fn new(prefix: &str, format: LogFormat) -> Self {
        Self { prefix: prefix.to_owned(), format }
    }

    /// Appends one line. Writing to a `String` cannot fail.
    fn write(&self, out: &mut String, level: LogLevel, message: &str, fields: &[(&str, String)]) {
        match self.format {
            LogFormat::Text => self.write_text(out, level, message, fields),
            LogFormat::Json => self.write_json(out, level, message, fields),
        }
        out.push('\n');
    }

    fn write_text(&self, out: &mut String, level: LogLevel, message: &str, fields: &[(&str, String)]) {
        let time = jiff::Zoned::now();
        let time = time.strftime("%Y/%m/%d %H:%M:%S%.6f");
        let _ = write!(out, "{}{time} {}: ", self.prefix, level.label());
        push_escaped(out, message);
        for (name, value) in fields {
            let _ = write!(out, " {name}=");
            push_escaped(out, value);
        }
    }

    fn write_json(&self, out: &mut String, level: LogLevel, message: &str, fields: &[(&str, String)]) {
        let time = jiff::Zoned::now();
        let time = time.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z");
        let _ = write!(out, r#"{{"time":"{time}","level":"{}""#, level.label());
        let prefix = self.prefix.trim();
        for (name, value) in [("prefix", prefix), ("message", message)]
            .into_iter()
            .chain(fields.iter().map(|(name, value)| (*name, value.as_str())))
        {
            let _ = write!(out, ",{}:{}", serde_json::Value::from(name), serde_json::Value::from(value));
        }
        out.push('}');
    }
}

/// Appends `text`; control characters but the tab as Rust would escape them.
fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\t') {
        out.push_str(&rest[..at]);
        let mut tail = rest[at..].chars();
        out.extend(tail.next().into_iter().flat_map(char::escape_default));
        rest = tail.as_str();
    }
    out.push_str(rest);
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
