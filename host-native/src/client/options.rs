//! The client's options by name, as programs and the tools' `--consumer-opt` give them. Names, defaults and ranges are
//! those of go-nsq (`config.go`); `-` and `_` are the same. What the options mean is in
//! [`ClientOptions`].

use std::time::Duration;

use sansq_core::client::{BackoffStrategy, ClientOptions};
use thiserror::Error;

use super::change::Layers;
use super::driver::Patience;
use crate::config::{format_duration, parse_duration};
use crate::tls::{ClientTls, MinVersion, TlsError};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Why an option was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// There is none of this name.
    #[error("invalid option {0}")]
    Unknown(String),
    /// Not a value of its kind.
    #[error("invalid {name} ! {value:?} is not {accepts}")]
    BadValue {
        /// The option.
        name: String,
        /// As it was given.
        value: String,
        /// What would be one.
        accepts: &'static str,
    },
    /// A value below or above what is allowed.
    #[error("invalid {name} ! {relation}")]
    Range {
        /// The option.
        name: &'static str,
        /// `1h2m < 1m`, the value first.
        relation: String,
    },
    /// The two ways to compress.
    #[error("deflate and snappy exclude each other")]
    TwoCompressions,
    /// An option that this client does not have.
    #[error("option {0} is not available in this client")]
    Unavailable(&'static str),
}

/// Everything a client can be told. Set by name, or made from [`ClientOptions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    client: ClientOptions,
    tls: ClientTls,
}

impl Default for Options {
    fn default() -> Self {
        let hostname = gethostname::gethostname().to_string_lossy().into_owned();
        let short = hostname.split('.').next().unwrap_or_default().to_owned();
        ClientOptions { client_id: short, hostname, ..ClientOptions::default() }.into()
    }
}

impl From<ClientOptions> for Options {
    fn from(client: ClientOptions) -> Self {
        Self { client, tls: ClientTls::default() }
    }
}

impl Options {
    /// Sets the option `name` to what `value` says.
    ///
    /// # Errors
    /// If there is no such option, or it does not take the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), OptionsError> {
        let name = name.trim().replace('-', "_");
        let value = value.trim();
        let bad = |accepts| OptionsError::BadValue { name: name.clone(), value: value.to_owned(), accepts };
        let duration = || read_duration(value).ok_or_else(|| bad("a duration, such as 250ms or 1m, or milliseconds"));
        let whole = || value.parse::<i64>().map_err(|_| bad("a whole number"));
        let yes_or_no = || read_bool(value).ok_or_else(|| bad("true or false"));
        let (client, tls) = (&mut self.client, &mut self.tls);
        match name.as_str() {
            "dial_timeout" => client.dial_timeout = duration()?,
            "read_timeout" => client.read_timeout = duration()?,
            "write_timeout" => client.write_timeout = duration()?,
            "lookupd_poll_interval" => client.lookupd_poll_interval = duration()?,
            "lookupd_poll_timeout" => client.lookupd_poll_timeout = duration()?,
            "lookupd_poll_jitter" => {
                let share = value.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
                client.lookupd_poll_jitter_permille =
                    (share.ok_or_else(|| bad("a number from 0 to 1"))? * 1000.0) as u32;
            }
            "max_requeue_delay" => client.max_requeue_delay = duration()?,
            "default_requeue_delay" => client.default_requeue_delay = duration()?,
            "backoff_strategy" => {
                client.backoff_strategy = match value {
                    "" | "exponential" => BackoffStrategy::Exponential,
                    "full_jitter" => BackoffStrategy::FullJitter,
                    _ => return Err(bad("exponential or full_jitter")),
                }
            }
            "max_backoff_duration" => client.max_backoff_duration = duration()?,
            "backoff_multiplier" => client.backoff_multiplier = duration()?,
            "max_attempts" => client.max_attempts = value.parse().map_err(|_| bad("a number from 0 to 65535"))?,
            "low_rdy_idle_timeout" => client.low_rdy_idle_timeout = duration()?,
            "low_rdy_timeout" => client.low_rdy_timeout = duration()?,
            "rdy_redistribute_interval" => client.rdy_redistribute_interval = duration()?,
            "client_id" => client.client_id = value.to_owned(),
            "hostname" => client.hostname = value.to_owned(),
            "user_agent" => client.user_agent = value.to_owned(),
            "topology_region" => client.topology_region = value.to_owned(),
            "topology_zone" => client.topology_zone = value.to_owned(),
            "heartbeat_interval" if value.starts_with('-') => client.heartbeat_interval = None,
            "heartbeat_interval" => client.heartbeat_interval = Some(duration()?),
            "sample_rate" => {
                let rate = value.parse().ok().filter(|rate| *rate <= 99);
                client.sample_rate = rate.ok_or_else(|| bad("a percentage from 0 to 99"))?;
            }
            "output_buffer_size" => client.output_buffer_size = whole()?,
            "output_buffer_timeout" if value.starts_with('-') => client.output_buffer_timeout_ms = -1,
            "output_buffer_timeout" => client.output_buffer_timeout_ms = duration()?.as_millis() as i64,
            "max_in_flight" => client.max_in_flight = value.parse().map_err(|_| bad("a number, 0 or more"))?,
            "msg_timeout" => client.msg_timeout = duration()?,
            "max_msg_size" => client.max_msg_size = value.parse().map_err(|_| bad("a number of bytes, 0 or more"))?,
            "auth_secret" => client.auth_secret = value.to_owned(),
            "confirm_timeout" => client.confirm_timeout = duration()?,
            "tls_v1" => client.tls_v1 = yes_or_no()?,
            "tls_root_ca_file" => tls.root_ca_file = Some(value.into()),
            "tls_cert" => tls.cert = Some(value.into()),
            "tls_key" => tls.key = Some(value.into()),
            "tls_insecure_skip_verify" => tls.insecure_skip_verify = yes_or_no()?,
            "tls_min_version" => {
                tls.min_version = MinVersion::parse(value).ok_or_else(|| bad("tls1.0, tls1.1, tls1.2 or tls1.3"))?;
            }
            "deflate" => client.deflate = yes_or_no()?,
            "deflate_level" => {
                let level = value.parse().ok().filter(|level| (1..=9).contains(level));
                client.deflate_level = level.ok_or_else(|| bad("a number from 1 to 9"))?;
            }
            "snappy" => client.snappy = yes_or_no()?,
            "local_addr" => return Err(OptionsError::Unavailable("local_addr")),
            "skip_lookupd_authorization" => return Err(OptionsError::Unavailable("skip_lookupd_authorization")),
            _ => return Err(OptionsError::Unknown(name)),
        }
        Ok(())
    }

    /// Sets what `--consumer-opt` and `--producer-opt` give: `name,value`, or `name` alone for `true`.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_pair(&mut self, pair: &str) -> Result<(), OptionsError> {
        let (name, value) = pair.split_once(',').unwrap_or((pair, "true"));
        self.set(name, value)
    }

    /// The options as the core takes them, to change.
    pub fn client_mut(&mut self) -> &mut ClientOptions {
        &mut self.client
    }

    /// How TLS is done, for nsqds if `tls_v1` is set, and for nsqlookupds whose addresses begin with `https://`.
    pub fn tls_mut(&mut self) -> &mut ClientTls {
        &mut self.tls
    }

    /// What connections need for the upgrades that are asked for. The files of TLS are read here: one that cannot be is a
    /// mistake also where `tls_v1` is not set.
    pub(super) fn layers(&self) -> Result<Layers, TlsError> {
        let tls = self.tls.config()?;
        Ok(Layers::new(self.client.tls_v1.then_some(tls)))
    }

    pub(super) fn into_client(self) -> ClientOptions {
        self.client
    }

    pub(super) fn patience(&self) -> Patience {
        let options = &self.client;
        Patience { dial: options.dial_timeout, write: options.write_timeout, lookup: options.lookupd_poll_timeout }
    }

    /// Whether all values are in their ranges, and go together.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), OptionsError> {
        let it = &self.client;
        let (second, milli) = (Duration::from_secs(1), Duration::from_millis(1));
        for (name, value, min, max) in [
            ("read_timeout", it.read_timeout, 100 * milli, 5 * MINUTE),
            ("write_timeout", it.write_timeout, 100 * milli, 5 * MINUTE),
            ("lookupd_poll_interval", it.lookupd_poll_interval, 10 * milli, 5 * MINUTE),
            ("max_requeue_delay", it.max_requeue_delay, Duration::ZERO, HOUR),
            ("default_requeue_delay", it.default_requeue_delay, Duration::ZERO, HOUR),
            ("max_backoff_duration", it.max_backoff_duration, Duration::ZERO, HOUR),
            ("backoff_multiplier", it.backoff_multiplier, Duration::ZERO, HOUR),
            ("low_rdy_idle_timeout", it.low_rdy_idle_timeout, second, 5 * MINUTE),
            ("low_rdy_timeout", it.low_rdy_timeout, second, 5 * MINUTE),
            ("rdy_redistribute_interval", it.rdy_redistribute_interval, milli, 5 * second),
        ] {
            let (above, below) = (value > max, value < min);
            if above || below {
                let (sign, bound) = if above { (">", max) } else { ("<", min) };
                let relation = format!("{} {sign} {}", format_duration(value), format_duration(bound));
                return Err(OptionsError::Range { name, relation });
            }
        }
        if it.deflate && it.snappy {
            return Err(OptionsError::TwoCompressions);
        }
        if let Some(interval) = it.heartbeat_interval.filter(|interval| *interval > it.read_timeout) {
            let relation = format!("{} > read_timeout {}", format_duration(interval), format_duration(it.read_timeout));
            return Err(OptionsError::Range { name: "heartbeat_interval", relation });
        }
        Ok(())
    }
}

/// As Go's flags take it.
fn read_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// As Go writes it, or whole milliseconds.
fn read_duration(text: &str) -> Option<Duration> {
    match text.parse::<u64>() {
        Ok(millis) => Some(Duration::from_millis(millis)),
        Err(_) => parse_duration(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_set_by_name() {
        let mut options = Options::default();
        for pair in [
            "max-in-flight,7",
            "msg_timeout,1500",
            "dial_timeout,2s",
            "lookupd_poll_jitter,0.25",
            "snappy",
            "deflate_level,9",
        ] {
            options.set_pair(pair).unwrap();
        }
        options.set_pair("heartbeat_interval,-1ns").unwrap();
        let client = options.into_client();
        assert_eq!((client.max_in_flight, client.lookupd_poll_jitter_permille), (7, 250));
        assert_eq!((client.msg_timeout, client.dial_timeout), (Duration::from_millis(1500), Duration::from_secs(2)));
        assert_eq!(client.heartbeat_interval, None);
        assert_eq!((client.snappy, client.deflate_level), (true, 9));
    }

    #[test]
    fn tls_is_set_by_name() {
        let mut options = Options::default();
        let pairs = [
            "tls_v1,T",
            "tls-root-ca-file,/ca",
            "tls_cert,/c",
            "tls_key,/k",
            "tls_insecure_skip_verify",
            "tls_min_version,tls1.3",
        ];
        for pair in pairs {
            options.set_pair(pair).unwrap();
        }
        let (ca, cert, key) = (Some("/ca".into()), Some("/c".into()), Some("/k".into()));
        let min_version = MinVersion::Tls13;
        let tls = ClientTls { root_ca_file: ca, cert, key, insecure_skip_verify: true, min_version };
        assert_eq!(*options.tls_mut(), tls);
        assert!(options.client_mut().tls_v1);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_options_name() {
        let said = |pair: &str| Options::default().set_pair(pair).unwrap_err().to_string();
        assert_eq!(said("nope,1"), "invalid option nope");
        assert!(said("max_attempts,-1").starts_with("invalid max_attempts ! \"-1\" is not"));
        assert_eq!(said("tls_v1,yes"), "invalid tls_v1 ! \"yes\" is not true or false");
        assert_eq!(said("deflate_level,10"), "invalid deflate_level ! \"10\" is not a number from 1 to 9");
        assert!(said("tls_min_version,tls9").ends_with("is not tls1.0, tls1.1, tls1.2 or tls1.3"));
        assert!(said("local_addr,x").starts_with("option local_addr is not available"));
        let mut options = Options::default();
        options.set_pair("read_timeout,50ms").unwrap();
        assert_eq!(options.check().unwrap_err().to_string(), "invalid read_timeout ! 50ms < 100ms");
        options.set_pair("read_timeout,20s").unwrap();
        assert_eq!(options.check().unwrap_err().to_string(), "invalid heartbeat_interval ! 30s > read_timeout 20s");
        let mut both = Options::default();
        (both.client_mut().deflate, both.client_mut().snappy) = (true, true);
        assert_eq!(both.check().unwrap_err().to_string(), "deflate and snappy exclude each other");
    }
}
