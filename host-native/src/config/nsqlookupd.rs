//! The options of nsqlookupd. Names, defaults and config keys are those of nsqlookupd 1.3.0
//! (`apps/nsqlookupd/main.go`, `nsqlookupd/options.go`); the last group but one is ours.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use super::flags::options;
use super::{ListenAddress, Loaded, Program, hostname, load_or_exit, start_logging};
use crate::log::{LogFormat, LogHandle, LogLevel};

const LOG_PREFIX: &str = "[nsqlookupd] ";

const PROGRAM: Program = Program {
    name: "nsqlookupd",
    title: "tells consumers which nsqd have a topic",
    about: "\
        Every nsqd registers its topics and channels with every nsqlookupd it knows; consumers ask any of them. An \
        nsqlookupd keeps nothing on disk and does not know the others: run two or three, and one may fail.

        A flag is written --flag=value or --flag value, with one dash or two. Durations look like 250ms, 5s or 1h30m. \
        Any flag may stand in the config file instead, as flag_name = value; the command line wins.",
    examples: &[
        ("nsqlookupd", "Listens on ports 4160 (nsqd) and 4161 (HTTP)."),
        ("nsqd --lookupd-tcp-address=find1:4160 --lookupd-tcp-address=find2:4160", "An nsqd that registers with two."),
        ("curl 'http://find1:4161/lookup?topic=greetings'", "Who has the topic greetings."),
    ],
};

options! {
    /// Everything nsqlookupd can be told when it starts.
    pub struct NsqlookupdOptions for PROGRAM;

    group "Basics": "Where to read options from, and what to say." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "config" <"FILE"> = Config, "Reads options from this TOML file. Names are flags with underscores: tombstone_lifetime = \"45s\".";
        "log-level" => log_level: LogLevel = LogLevel::Info,
            "The least grave lines to log.";
        "log-prefix" => log_prefix: String = LOG_PREFIX.to_owned(),
            "What each log line starts with.";
    }

    group "Listening": "Where it is found: host:port, :port for every interface, or the path of a Unix socket." {
        "tcp-address" => tcp_address: ListenAddress = ListenAddress::tcp("0.0.0.0", 4160),
            "Where nsqd register.";
        "http-address" => http_address: ListenAddress = ListenAddress::tcp("0.0.0.0", 4161),
            "Where consumers and nsqadmin ask.";
        "broadcast-address" <"HOST"> => broadcast_address: String = hostname(),
            "The name or address that nsqd are told to ask over HTTP; the default is the host's name.";
    }

    group "Lifetimes": "When an nsqd is no longer shown." {
        "inactive-producer-timeout" => inactive_producer_timeout: Duration = Duration::from_secs(300),
            "An nsqd that has not sent a PING for longer is not shown until it does. It sends one every 15 s.";
        "tombstone-lifetime" => tombstone_lifetime: Duration = Duration::from_secs(45),
            "How long a tombstone hides an nsqd from those who look up a topic.";
    }

    group "Beyond the reference": "Flags that other builds of nsqlookupd do not have." {
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(nsqlookupd --completions bash).";
        builtin "man" = Man, "Prints a page for man. Try nsqlookupd --man | man -l -.";
        "idle-timeout" => idle_timeout: Duration = Duration::from_secs(600),
            "An nsqd that sends nothing for longer is disconnected and its registrations are dropped: its machine may be gone. 0 stands for any time.";
        "http-allowed-origin" <"ORIGIN"> key "http_allowed_origins" => http_allowed_origins: Vec<String> = Vec::new(),
            "A web site, SCHEME://NAME or SCHEME://NAME:PORT, whose pages may have something changed over HTTP and read the answers. Pages of other sites than nsqlookupd's own address may not.";
        "log-format" => log_format: LogFormat = LogFormat::Text,
            "The form of log lines: text, or a JSON object each.";
    }

    group "Without effect": "Accepted, so that commands written for nsqlookupd work unchanged." {
        builtin "verbose" = Deprecated, "Once chose the log level; use --log-level instead.";
    }
}

/// Reads the options from `args`, the words after the program's name, and starts logging.
///
/// If the process should end instead, everything is said and the error is its exit code.
pub fn start(args: impl IntoIterator<Item = OsString>) -> Result<(NsqlookupdOptions, LogHandle), ExitCode> {
    let Loaded { options, warnings, ignored: _ } = load_or_exit::<NsqlookupdOptions>(args, LOG_PREFIX)?;
    let log = start_logging(&options.log_prefix, options.log_level, options.log_format, &warnings)?;
    Ok((options, log))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::all_flags;
    use crate::config::{help_page, read_option};

    #[test]
    fn defaults_are_nsqlookupds() {
        let options = NsqlookupdOptions::default();
        let expected = [
            ("log_level", "2"),
            ("log_prefix", LOG_PREFIX),
            ("tcp_address", "0.0.0.0:4160"),
            ("http_address", "0.0.0.0:4161"),
            ("inactive_producer_timeout", "300000000000"),
            ("tombstone_lifetime", "45000000000"),
            // Ours.
            ("idle_timeout", "600000000000"),
            ("log_format", "text"),
            ("http_allowed_origins", "[]"),
        ];
        for (key, value) in expected {
            assert_eq!(read_option(&options, key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(options.broadcast_address, hostname());
        let keys = all_flags::<NsqlookupdOptions>().filter_map(|flag| flag.config_key()).count();
        assert_eq!(keys, expected.len() + 1, "an option without a tested default");
    }

    #[test]
    fn help_fits_a_terminal() {
        let page = help_page::<NsqlookupdOptions>(false);
        assert!(page.contains("--tombstone-lifetime DURATION  (default 45s)"), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 88), "{page}");
    }
}
