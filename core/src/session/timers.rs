//! What a session waits for in time. Deadlines are computed from the few instants a session keeps, never re-armed: taking a
//! command stores one instant.

use std::time::Duration;

use super::client::HEARTBEAT_INTERVAL;
use super::{Phase, Session, upgrade_failed};
use crate::time::{Instant, Now};
use crate::wire::put_heartbeat;

/// Why a session wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// The magic has not come. nsqd waits for ever.
    Magic,
    /// A heartbeat is due.
    Heartbeat,
    /// No command has come for two heartbeat intervals.
    Read,
    /// The socket has taken nothing for one heartbeat interval.
    Write,
    /// The TLS handshake has not come to an end.
    Upgrade,
}

/// Time for a TLS handshake.
pub(super) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(5);

impl Session {
    /// When [`handle_timeout`](Self::handle_timeout) is next to be called, and why. Taking bytes moves it later only, so a
    /// host need not look after each read: it looks when the time has come.
    pub fn poll_timeout(&self) -> Option<(Instant, TimerKind)> {
        self.deadlines().into_iter().flatten().min()
    }

    /// In the order in which those that fall together are handled.
    fn deadlines(&self) -> [Option<(Instant, TimerKind)>; 3] {
        let write = self.blocked_since.map(|since| {
            // nsqd has no write deadline without heartbeats: a peer that reads nothing is kept for ever.
            (since + self.heartbeat_interval.unwrap_or(HEARTBEAT_INTERVAL), TimerKind::Write)
        });
        let heartbeat = self.heartbeat_interval.map(|_| (self.next_heartbeat, TimerKind::Heartbeat));
        let (heartbeat, input) = match self.phase {
            Phase::Magic => {
                let timeout = self.config.magic_timeout;
                (None, (!timeout.is_zero()).then(|| (self.idle_since + timeout, TimerKind::Magic)))
            }
            Phase::Open if self.wants_input() && self.blocked_since.is_none() => {
                let read = self.heartbeat_interval.map(|interval| (self.idle_since + 2 * interval, TimerKind::Read));
                (heartbeat, read)
            }
            Phase::Open | Phase::Subscribing(_) | Phase::Authorizing | Phase::Renewing => (heartbeat, None),
            Phase::Upgrading { deadline, .. } => (None, Some((deadline, TimerKind::Upgrade))),
            Phase::Draining | Phase::Closed => (None, None),
        };
        [heartbeat, input, write]
    }

    /// Does what is due. Early or repeated calls do nothing. When the write deadline has passed, what is left in `out` is
    /// thrown away.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<u8>) {
        for (deadline, kind) in self.deadlines().into_iter().flatten() {
            if deadline <= now.mono {
                self.on_timer(now, kind, out);
            }
        }
    }

    fn on_timer(&mut self, now: Now, kind: TimerKind, out: &mut Vec<u8>) {
        match kind {
            TimerKind::Heartbeat => {
                put_heartbeat(out);
                let interval = self.heartbeat_interval.unwrap_or(HEARTBEAT_INTERVAL);
                self.next_heartbeat = self.next_heartbeat + interval;
                if self.next_heartbeat <= now.mono {
                    self.next_heartbeat = now.mono + interval;
                }
            }
            TimerKind::Magic => self.close(),
            TimerKind::Read => self.on_end(out),
            TimerKind::Upgrade => self.fail(upgrade_failed("i/o timeout"), out),
            TimerKind::Write => {
                out.clear();
                self.blocked_since = None;
                self.close();
            }
        }
    }
}
