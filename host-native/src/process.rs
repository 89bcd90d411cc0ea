//! What every process does alike: it runs until it is told to stop, passes over signals that mean nothing to it, and says why it
//! could not.
//!
//! | signal | what comes of it |
//! |---|---|
//! | SIGINT, SIGTERM | an orderly end: everything to disk |
//! | SIGHUP | the same; a terminal that is closed sends it. `nsq_to_file` closes its files and goes on. Under `nohup` it is ignored |
//! | SIGQUIT | the end at once, as a crash: nothing is saved |
//! | SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGXCPU, SIGXFSZ, SIGPIPE | nothing |
//! | SIGTSTP, SIGCONT | stopped, and on again |
//!
//! A second signal while the process ends changes nothing: SIGQUIT and SIGKILL are there for who cannot wait.

use std::io;
use std::process::ExitCode;
use std::task::{Context, Poll};

use anyhow::Result;
use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::limits;

/// Those that end a process unless somebody handles them, and that nobody means as an end. SIGPIPE is ignored from the start.
/// SIGXFSZ comes with a write beyond `ulimit -f`, which then fails; Go does not end at any of them either.
const PASSED_OVER: &[Number] = &[
    Number::USR1,
    Number::USR2,
    Number::ALARM,
    Number::VTALARM,
    Number::PROF,
    Number::IO,
    #[cfg(target_os = "linux")]
    Number::POWER,
    Number::XCPU,
    Number::XFSZ,
];

/// The signals that ask for an orderly end, listened to from its creation on.
pub struct StopSignal(Vec<Signal>);

impl StopSignal {
    /// SIGINT, SIGTERM and, unless it was ignored when the process started, SIGHUP. To be called on a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let mut signals = Self::without_hang_up()?;
        // Who starts a program with `nohup` wants it to outlive the terminal.
        if !is_ignored(Number::HUP) {
            signals.0.push(signal(SignalKind::hangup())?);
        }
        Ok(signals)
    }

    /// SIGINT and SIGTERM.
    pub(crate) fn without_hang_up() -> io::Result<Self> {
        Ok(Self(vec![signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    /// Waits for any of them.
    pub async fn received(&mut self) {
        std::future::poll_fn(|context| self.poll_received(context)).await;
    }

    /// Ready each time one of them comes.
    pub(crate) fn poll_received(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_here = |signal: &mut Signal| signal.poll_recv(context).is_ready();
        // All are polled, so that all can wake the task.
        let count = self.0.iter_mut().map(is_here).filter(|&is_here| is_here).count();
        if count > 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Keeps signals that mean nothing here from ending the process. To be called on a runtime.
pub(crate) fn pass_over_signals() -> io::Result<()> {
    for number in PASSED_OVER.iter().copied() {
        // The handler stays when this end of it is gone.
        drop(signal(SignalKind::from_raw(number.as_raw()))?);
    }
    Ok(())
}

/// Whether the process was started with this signal ignored; not known, and so no, where there is no `/proc`.
fn is_ignored(number: Number) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (number.as_raw() - 1) & 1 == 1
}

/// Runs `daemon` on this thread, with as many open files as the system allows.
pub fn run<T>(daemon: impl AsyncFnOnce(StopSignal) -> Result<T>) -> Result<T> {
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        pass_over_signals()?;
        daemon(StopSignal::new()?).await
    })
}

/// What the process ends with; a failure is logged, with its causes.
pub fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            crate::fatal!("{}", causes.join(" - "));
            ExitCode::FAILURE
        }
    }
}
