//! The daemon's clock: what the core calls [`Now`], read from the operating system.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sansq_core::time::{Instant, Now, Timestamp};
use tokio::time::Instant as TokioInstant;

/// Counts from its creation. In tests that move the runtime's clock by hand, it is moved with it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: TokioInstant,
    /// What the other clock says at the start, where it has to say the same each time.
    #[cfg(test)]
    wall: Option<Timestamp>,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            start: TokioInstant::now(),
            #[cfg(test)]
            wall: None,
        }
    }

    /// A clock that says the same each time a scene is played.
    #[cfg(test)]
    pub(crate) fn of_a_scene() -> Self {
        Self { wall: Some(Timestamp::from_nanos(1_500_000_000_000_000_000)), ..Self::start() }
    }

    /// Both times.
    pub fn now(&self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        #[cfg(test)]
        if let Some(wall) = self.wall {
            return Now { mono: Instant::from_nanos(mono), wall: Timestamp::from_nanos(wall.as_nanos() + mono as i64) };
        }
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
