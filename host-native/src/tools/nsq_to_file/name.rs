//! The names of archive files: a format with tokens, and a date in strftime's words.

use anyhow::{Result, ensure};
use jiff::Zoned;

/// The names that files of one topic get.
#[derive(Clone, Debug)]
pub(super) struct NameFormat {
    /// All tokens but `<DATETIME>` and `<REV>` are replaced.
    format: String,
    datetime_format: String,
}

/// What a format is made from.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a> {
    pub(super) filename_format: &'a str,
    pub(super) datetime_format: &'a str,
    pub(super) host_identifier: &'a str,
    pub(super) hostname: &'a str,
    pub(super) gzip: bool,
    /// Several files may want the same name, so that `<REV>` has to tell them apart.
    pub(super) needs_rev: bool,
}

impl NameFormat {
    pub(super) fn new(topic: &str, parts: &Parts<'_>) -> Result<Self> {
        ensure!(
            !parts.needs_rev || parts.filename_format.contains("<REV>"),
            "missing <REV> in --filename-format when gzip, rotation, or work dir enabled"
        );
        let short = parts.hostname.split('.').next().unwrap_or_default();
        let host = match parts.host_identifier {
            "" => short.to_owned(),
            given => given.replace("<SHORT_HOST>", short).replace("<HOSTNAME>", parts.hostname),
        };
        let mut format = parts
            .filename_format
            .replace("<TOPIC>", topic)
            .replace("<HOST>", &host)
            .replace("<PID>", &std::process::id().to_string());
        if !parts.needs_rev {
            format = format.replace("<REV>", "");
        }
        if parts.gzip && !format.ends_with(".gz") {
            format += ".gz";
        }
        Ok(Self { format, datetime_format: parts.datetime_format.to_owned() })
    }

    /// The name at a time, without its number.
    pub(super) fn at(&self, time: &Zoned) -> String {
        self.format.replace("<DATETIME>", &strftime(&self.datetime_format, time))
    }
}

/// The name with its number.
pub(super) fn with_rev(name: &str, rev: u32) -> String {
    name.replace("<REV>", &format!("-{rev:06}"))
}

/// `format` with what NSQ knows of strftime replaced; anything else stays as it is.
fn strftime(format: &str, time: &Zoned) -> String {
    const KNOWN: &str = "BbmAadHIMSYypZz%";
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        match (c, rest.clone().next()) {
            ('%', Some(word)) if KNOWN.contains(word) => {
                rest.next();
                text += &time.strftime(&format!("%{word}")).to_string();
            }
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(filename_format: &str) -> Parts<'_> {
        Parts {
            filename_format,
            datetime_format: "%Y-%m-%d_%H",
            host_identifier: "",
            hostname: "queue1.example.org",
            gzip: false,
            needs_rev: false,
        }
    }

    fn time() -> Zoned {
        "2026-01-02T15:04:05[UTC]".parse().unwrap()
    }

    #[test]
    fn tokens_are_replaced() {
        let name = |parts: &Parts<'_>| NameFormat::new("t", parts).unwrap().at(&time());
        let usual = "<TOPIC>.<HOST><REV>.<DATETIME>.log";
        assert_eq!(name(&parts(usual)), "t.queue1.2026-01-02_15.log");
        let numbered = name(&Parts { gzip: true, needs_rev: true, ..parts(usual) });
        assert_eq!(with_rev(&numbered, 1), "t.queue1-000001.2026-01-02_15.log.gz");
        let host = Parts { host_identifier: "x-<HOSTNAME>-<SHORT_HOST>", ..parts("<HOST>") };
        assert_eq!(name(&host), "x-queue1.example.org-queue1");
        assert!(NameFormat::new("t", &Parts { needs_rev: true, ..parts("x") }).is_err());
    }

    #[test]
    fn dates_are_strftimes_and_nothing_else_is_touched() {
        for (format, expected) in [
            ("%Y-%m-%d %H:%M:%S", "2026-01-02 15:04:05"),
            ("%B %b %A %a %I %p %y %%", "January Jan Friday Fri 03 PM 26 %"),
            ("%Z%z", "UTC+0000"),
            ("1 2 15 Jan %q %", "1 2 15 Jan %q %"),
        ] {
            assert_eq!(strftime(format, &time()), expected);
        }
    }
}
