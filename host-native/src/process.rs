//! What every daemon's process does alike: it runs until it is told to stop, and says why it could not.

use std::process::ExitCode;

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::limits;

/// SIGINT and SIGTERM, listened to from its creation on.
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    fn new() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for either.
    pub async fn received(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

/// Runs `daemon` on this thread, with as many open files as the system allows.
pub fn run<T>(daemon: impl AsyncFnOnce(StopSignal) -> Result<T>) -> Result<T> {
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { daemon(StopSignal::new()?).await })
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
