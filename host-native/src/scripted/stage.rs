//! Who is polled, and when.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use sansq_core::rng::Rng;
use tokio::time::{Instant, Sleep, sleep};

use super::stream::{End, SharedWorld, World, pick};

struct Task {
    name: &'static str,
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// The scene does not end before it.
    needed: bool,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Whether a task was woken.
struct Bell {
    rung: AtomicBool,
    world: SharedWorld,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        // A waker is called with the world locked where the world calls it; then the stage is at work anyway.
        if let Some(world) = self.world.try_lock()
            && let Some(waker) = &world.waker
        {
            waker.wake_by_ref();
        }
    }
}

/// A scene: its tasks and its streams. See the [module](super).
pub(crate) struct Stage {
    rng: Rng,
    world: SharedWorld,
    tasks: Vec<Task>,
    /// Of a hundred turns, so many begin with a wake-up for nothing.
    spurious: u64,
    /// What is played, for a failure.
    about: String,
}

impl Stage {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let world = Arc::new(Mutex::new(World::new(Rng::new(rng.next_u64()))));
        let spurious = pick(&mut rng, [0, 0, 3, 15]);
        Self { rng, world, tasks: Vec::new(), spurious, about: String::new() }
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        pick(&mut self.rng, choices)
    }

    /// Says what is played, for a failure.
    pub(crate) fn about(&mut self, part: &impl std::fmt::Debug) {
        self.about = format!("{part:?}");
    }

    /// Says what the streams wait for, for a failure that a task finds.
    pub(crate) fn streams(&self) -> impl Fn() -> String + use<> {
        let world = self.world.clone();
        move || world.lock().describe()
    }

    /// Chance for a task.
    pub(crate) fn rng(&mut self) -> Rng {
        Rng::new(self.rng.next_u64())
    }

    /// Two ends of a stream.
    pub(crate) fn pair(&mut self) -> (End, End) {
        End::pair(&self.world, false)
    }

    /// As [`pair`](Self::pair); in some scenes what is written arrives only when it is flushed.
    pub(crate) fn pair_that_holds(&mut self) -> (End, End) {
        End::pair(&self.world, true)
    }

    pub(super) fn world(&self) -> SharedWorld {
        self.world.clone()
    }

    /// Adds a task. The scene ends when all of these have.
    pub(crate) fn task(&mut self, name: &'static str, future: impl Future<Output = ()> + 'static) {
        self.add(name, Box::pin(future), true);
    }

    /// Adds a task that need not end.
    pub(crate) fn background(&mut self, name: &'static str, future: impl Future<Output = ()> + 'static) {
        self.add(name, Box::pin(future), false);
    }

    fn add(&mut self, name: &'static str, future: Pin<Box<dyn Future<Output = ()>>>, needed: bool) {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), world: self.world.clone() });
        let waker = Waker::from(bell.clone());
        self.tasks.push(Task { name, future, needed, bell, waker });
    }

    /// Plays the scene.
    pub(super) async fn run(self, within: Duration) {
        let limit = Box::pin(sleep(within));
        Run { stage: self, limit, last: Instant::now() }.await;
    }

    /// Polls one task, or gives one wake-up; `false` if nobody is to be woken.
    fn turn(&mut self) -> bool {
        let mut world = self.world.lock();
        if self.rng.below(100) < self.spurious {
            world.wake_for_nothing();
        }
        let due = world.due() as u64;
        let rung: Vec<usize> =
            (0..self.tasks.len()).filter(|index| self.tasks[*index].bell.rung.load(Ordering::Relaxed)).collect();
        if due + rung.len() as u64 == 0 {
            return false;
        }
        let choice = self.rng.below(due + rung.len() as u64);
        if choice < due {
            world.wake(choice as usize);
            return true;
        }
        if let Err(trouble) = world.idle() {
            panic!("{trouble}");
        }
        drop(world);
        self.poll(rung[(choice - due) as usize]);
        true
    }

    fn poll(&mut self, index: usize) {
        let task = &mut self.tasks[index];
        task.bell.rung.store(false, Ordering::Relaxed);
        let (future, mut context) = (&mut task.future, Context::from_waker(&task.waker));
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => {
                drop(self.tasks.swap_remove(index));
                self.world.lock().moved();
            }
            Err(panic) => {
                eprintln!("in the task {:?} of {}", self.tasks[index].name, self.about);
                resume_unwind(panic);
            }
        }
    }
}

/// Turns of a scene before tasks of the runtime's own have theirs. They share what the runtime lets one task use of its
/// things before others, so tasks of a scene run out of it at any point.
const TURNS: u32 = 16;

/// A scene as a future.
struct Run {
    stage: Stage,
    limit: Pin<Box<Sleep>>,
    last: Instant,
}

impl Future for Run {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.stage.tasks.iter().any(|task| task.needed) {
            return Poll::Ready(());
        }
        {
            let mut world = this.stage.world.lock();
            world.waker = Some(cx.waker().clone());
            if this.last != Instant::now() {
                this.last = Instant::now();
                world.moved();
            }
        }
        if this.limit.as_mut().poll(cx).is_ready() {
            let names: Vec<_> = this.stage.tasks.iter().filter(|task| task.needed).map(|task| task.name).collect();
            let (about, streams) = (&this.stage.about, this.stage.world.lock().describe());
            panic!("stuck: {names:?} wait, and time goes by; {streams}; {about}");
        }
        for _ in 0..TURNS {
            if !this.stage.turn() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
