//! The daemon's clock: what the core calls [`Now`], read from the operating system.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sansq_core::time::{Instant, Now, Timestamp};
use tokio::time::Instant as TokioInstant;

/// Counts from its creation. In tests that move the runtime's clock by hand, it is moved with it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: TokioInstant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: TokioInstant::now() }
    }

    /// Both times.
    pub fn now(&self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: Instant::from_nanos(mono),
            wall: Timestamp::from_nanos(i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX)),
        }
    }

    /// The operating system's name for `at`.
    pub fn deadline(&self, at: Instant) -> TokioInstant {
        self.start + Duration::from_nanos(at.as_nanos())
    }
}
