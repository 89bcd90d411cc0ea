//! What IDENTIFY settles between a client and the broker. Only clients that sent one pay for it.

use std::time::Duration;

use super::Features;
use crate::config::Config;
use crate::protocol::Upgrade;
use crate::wire::{CommandError, ErrorCode, Identify, IdentifyReply};

/// Heartbeat interval of a client that did not ask for another.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);
const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_secs(1);
const MSG_TIMEOUT_MIN: Duration = Duration::from_secs(1);
const OUTPUT_BUFFER_SIZE: i64 = 16 * 1024;
const OUTPUT_BUFFER_SIZE_MIN: i64 = 64;
const DEFLATE_LEVEL: i64 = 6;
/// Bytes that are kept of each text in which a client describes itself, for as long as it is connected. The reference keeps
/// all of it, which may be as much as `--max-body-size`.
const LABEL_BYTES_MAX: usize = 1024;

/// A client by its latest IDENTIFY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its label.
    pub client_id: String,
    /// Its host.
    pub hostname: String,
    /// Its library.
    pub user_agent: String,
    /// Where it runs.
    pub topology_region: String,
    /// Where it runs.
    pub topology_zone: String,
    /// `None`: no heartbeats, and no deadline for its commands.
    pub heartbeat_interval: Option<Duration>,
    /// Negotiated and reported; ours flushes as soon as nothing more is ready.
    pub output_buffer_timeout: Duration,
    /// Negotiated and reported, in bytes.
    pub output_buffer_size: i64,
    /// 0..=99; 0 for all messages.
    pub sample_rate: u8,
    /// Time it has to answer a message.
    pub msg_timeout: Duration,
    /// The stream is in TLS.
    pub tls: bool,
    /// The stream is in snappy framing.
    pub snappy: bool,
    /// The stream is in deflate.
    pub deflate: bool,
    granted: Granted,
}

/// The upgrades promised in the reply to IDENTIFY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Granted {
    tls: bool,
    snappy: bool,
    deflate: bool,
    deflate_level: i64,
}

impl ClientInfo {
    /// A client that sent an empty IDENTIFY.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            client_id: String::new(),
            hostname: String::new(),
            user_agent: String::new(),
            topology_region: String::new(),
            topology_zone: String::new(),
            heartbeat_interval: Some(HEARTBEAT_INTERVAL),
            output_buffer_timeout: config.output_buffer_timeout,
            output_buffer_size: OUTPUT_BUFFER_SIZE,
            sample_rate: 0,
            msg_timeout: config.msg_timeout,
            tls: false,
            snappy: false,
            deflate: false,
            granted: Granted::default(),
        }
    }

    /// Takes over what `wanted` says, checked in the reference's order. Zero leaves a number as it is.
    pub(super) fn negotiate(
        &mut self,
        wanted: Identify,
        config: &Config,
        features: Features,
    ) -> Result<(), CommandError> {
        self.heartbeat_interval = match wanted.heartbeat_interval {
            -1 => None,
            0 => self.heartbeat_interval,
            ms => match millis_within(ms, HEARTBEAT_INTERVAL_MIN, config.max_heartbeat_interval) {
                Some(interval) => Some(interval),
                None => return Err(invalid("heartbeat interval", ms)),
            },
        };
        let (shortest, longest) = (config.min_output_buffer_timeout, config.max_output_buffer_timeout);
        self.output_buffer_timeout = match wanted.output_buffer_timeout {
            -1 => Duration::ZERO,
            0 => self.output_buffer_timeout,
            ms => millis_within(ms, shortest, longest).ok_or_else(|| invalid("output buffer timeout", ms))?,
        };
        match wanted.output_buffer_size {
            -1 => {
                self.output_buffer_size = 1;
                self.output_buffer_timeout = Duration::ZERO;
            }
            0 => {}
            size if size >= OUTPUT_BUFFER_SIZE_MIN
                && usize::try_from(size).is_ok_and(|size| size <= config.max_output_buffer_size) =>
            {
                self.output_buffer_size = size;
            }
            size => return Err(invalid("output buffer size", size)),
        }
        self.sample_rate = match u8::try_from(wanted.sample_rate) {
            Ok(rate) if rate <= 99 => rate,
            _ => return Err(invalid("sample rate", wanted.sample_rate.into())),
        };
        self.msg_timeout = match wanted.msg_timeout {
            0 => self.msg_timeout,
            ms => {
                millis_within(ms, MSG_TIMEOUT_MIN, config.max_msg_timeout).ok_or_else(|| invalid("msg timeout", ms))?
            }
        };
        if wanted.feature_negotiation {
            self.grant(&wanted, config, features)?;
        }
        self.client_id = label(wanted.client_id);
        self.hostname = label(wanted.hostname);
        self.user_agent = label(wanted.user_agent);
        self.topology_region = label(wanted.topology_region);
        self.topology_zone = label(wanted.topology_zone);
        Ok(())
    }

    /// What an earlier IDENTIFY switched on stays on, and counts as granted.
    fn grant(&mut self, wanted: &Identify, config: &Config, features: Features) -> Result<(), CommandError> {
        let tls = self.tls || features.tls && wanted.tls_v1;
        let snappy = self.snappy || features.snappy && wanted.snappy;
        let deflate = self.deflate || features.deflate && wanted.deflate;
        if snappy && deflate {
            let detail = "cannot enable both deflate and snappy compression";
            return Err(CommandError::new(ErrorCode::IdentifyFailed, detail));
        }
        let level = if deflate && wanted.deflate_level > 0 { wanted.deflate_level } else { DEFLATE_LEVEL };
        self.granted = Granted { tls, snappy, deflate, deflate_level: level.min(config.max_deflate_level) };
        Ok(())
    }

    pub(super) fn reply<'a>(&self, config: &'a Config, features: Features) -> IdentifyReply<'a> {
        IdentifyReply {
            max_rdy_count: config.max_rdy_count,
            version: &config.version,
            max_msg_timeout: config.max_msg_timeout.as_millis(),
            msg_timeout: self.msg_timeout.as_millis(),
            tls_v1: self.granted.tls,
            deflate: self.granted.deflate,
            deflate_level: self.granted.deflate_level,
            max_deflate_level: config.max_deflate_level,
            snappy: self.granted.snappy,
            sample_rate: self.sample_rate,
            auth_required: features.auth,
            output_buffer_size: self.output_buffer_size,
            output_buffer_timeout: self.output_buffer_timeout.as_millis(),
            topology_region: &config.topology_region,
            topology_zone: &config.topology_zone,
        }
    }

    /// The next upgrade that was granted and is not in force: TLS below, compression above.
    pub(super) fn next_upgrade(&self) -> Option<Upgrade> {
        let granted = self.granted;
        if granted.tls && !self.tls {
            Some(Upgrade::Tls)
        } else if granted.snappy && !self.snappy {
            Some(Upgrade::Snappy)
        } else if granted.deflate && !self.deflate {
            let level = u8::try_from(granted.deflate_level.clamp(1, 9)).unwrap_or(9);
            Some(Upgrade::Deflate { level })
        } else {
            None
        }
    }

    /// Notes that `upgrade` is in force.
    pub(super) fn on_upgraded(&mut self, upgrade: Upgrade) {
        match upgrade {
            Upgrade::Tls => self.tls = true,
            Upgrade::Snappy => self.snappy = true,
            Upgrade::Deflate { .. } => self.deflate = true,
        }
    }
}

/// What is kept of `text`: its beginning, whole characters, and no memory for the rest.
fn label(text: String) -> String {
    match text.len() {
        0..=LABEL_BYTES_MAX => text,
        _ => text[..text.floor_char_boundary(LABEL_BYTES_MAX)].to_owned(),
    }
}

fn millis_within(ms: i64, shortest: Duration, longest: Duration) -> Option<Duration> {
    let duration = Duration::from_millis(u64::try_from(ms).ok()?);
    (shortest <= duration && duration <= longest).then_some(duration)
}

fn invalid(what: &str, value: i64) -> CommandError {
    CommandError::new(ErrorCode::BadBody, format!("IDENTIFY {what} ({value}) is invalid"))
}
