//! A harness for hand-written poll loops: what a future does when its stream does all that a stream may do.
//!
//! A real socket on loopback takes and brings everything at once, so a loop that returns `Pending` without being registered
//! for what could wake it goes unnoticed there. Here a *scene* is drawn from a seed: tasks, some of them the loops that the
//! daemons run, some of them their peers, joined by streams in memory ([`End`]) that take and bring as little as they like,
//! pause at any point, and have a window each way. A [`Stage`] polls a task only when its waker was called, in an order
//! that the seed draws. Time is the runtime's, paused: it goes on only when nothing else can happen. So a scene that ought
//! to need no time and does not end within its time has a loop that sleeps through something; and one in which many polls
//! change nothing has a loop that is busy.
//!
//! ```text
//! check(2000, Duration::from_secs(1), |stage| {
//!     let (ours, theirs) = stage.pair();
//!     stage.task("the loop", async move { serve(ours).await });
//!     stage.task("its peer", async move { … theirs … });
//! });
//! ```
//!
//! A failure names the seed: `SANSQ_SEED=n` runs that one alone, `SANSQ_SEEDS=n` so many instead of as many as the test asks
//! for. Code that opens its streams by itself finds those of the scene by their address, through [`dial`].

mod net;
mod nsqd;
mod stage;
mod stream;
mod tls;
mod v2;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::runtime::Builder;

pub(crate) use net::{Listening, dial};
pub(crate) use nsqd::{Nsqd, node};
pub(crate) use stage::Stage;
pub(crate) use stream::End;
pub(crate) use tls::{client_tls, connector};
pub(crate) use v2::{Frame, body, frame, negotiate};

/// No scene takes so much real time; one that does never comes back.
const PATIENCE: Duration = Duration::from_secs(120);

/// Plays the scene of each of the first `count` seeds, which has to end within a time of its own clock.
pub(crate) fn check(count: u64, within: Duration, scene: impl Fn(&mut Stage)) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("SANSQ_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SANSQ_SEEDS").unwrap_or(count),
    };
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let again = move |seed: u64| {
        format!("{test}: seed {seed} fails. Again: SANSQ_SEED={seed} cargo test -p sansq --lib {test}")
    };
    let watched = watch(again.clone());
    for seed in seeds {
        watched.send(seed).expect("the watch is there as long as there is something to watch");
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(seed, within, &scene))) {
            eprintln!("{}", again(seed));
            resume_unwind(panic);
        }
    }
}

fn play(seed: u64, within: Duration, scene: &impl Fn(&mut Stage)) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let mut stage = Stage::new(seed);
    {
        let _context = runtime.enter();
        scene(&mut stage);
    }
    runtime.block_on(stage.run(within));
}

/// Ends the process if a scene does not end: a task of the runtime that never lets go cannot be ended otherwise.
fn watch(again: impl Fn(u64) -> String + Send + 'static) -> mpsc::Sender<u64> {
    let (begun, scenes) = mpsc::channel();
    std::thread::spawn(move || {
        let mut seed = 0;
        loop {
            match scenes.recv_timeout(PATIENCE) {
                Ok(next) => seed = next,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("{} (it never ends)", again(seed));
                    std::process::abort();
                }
            }
        }
    });
    begun
}
