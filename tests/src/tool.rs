//! The command-line tools as processes: run to their end, or until a line comes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::nsqd::newest_build;

/// How long a tool may take for what it should do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a tool on `input` to its end.
pub fn run(name: &str, args: &[&str], input: &[u8]) -> Result<Output> {
    let mut tool = Tool::start_with(name, args, Stdio::piped())?;
    let mut stdin = tool.child.stdin.take().context("stdin is piped")?;
    // A tool that refuses its flags does not read.
    drop(stdin.write_all(input));
    drop(stdin);
    tool.finish()
}

/// A tool that runs; killed when dropped.
#[derive(Debug)]
pub struct Tool {
    child: Child,
    out: Receiver<String>,
    errors: Receiver<String>,
    said: String,
}

impl Tool {
    /// Starts one without input.
    pub fn start(name: &str, args: &[&str]) -> Result<Tool> {
        Tool::start_with(name, args, Stdio::null())
    }

    fn start_with(name: &str, args: &[&str], input: Stdio) -> Result<Tool> {
        let mut command = Command::new(newest_build(name)?);
        let mut child = command.args(args).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let out = lines(child.stdout.take().context("stdout is piped")?);
        let errors = lines(child.stderr.take().context("stderr is piped")?);
        Ok(Tool { child, out, errors, said: String::new() })
    }

    /// The next line on standard output.
    pub fn line(&self) -> Result<String> {
        self.out.recv_timeout(PATIENCE).context("no line came")
    }

    /// The lines on standard output that have come by now and were not read.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.out.try_iter()
    }

    /// Waits until a line on standard error contains `text`.
    pub fn wait_error(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.errors.recv_timeout(left).map_err(|_| anyhow!("{text:?} was not said:\n{}", self.said))?;
            self.said += &format!("{line}\n");
            if line.contains(text) {
                return Ok(());
            }
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("not a process id")?;
        kill_process(pid, signal).context("cannot signal the tool")
    }

    /// Waits for its end: what it said that was not read yet.
    pub fn finish(mut self) -> Result<Output> {
        let status = self.wait_exit()?;
        let join = |lines: &Receiver<String>| lines.iter().map(|line| line + "\n").collect::<String>();
        let errors = std::mem::take(&mut self.said) + &join(&self.errors);
        Ok(Output { status, stdout: join(&self.out).into_bytes(), stderr: errors.into_bytes() })
    }

    fn wait_exit(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let said: Vec<String> = self.errors.try_iter().collect();
        bail!("it still runs after {PATIENCE:?}:\n{}{}", self.said, said.join("\n"))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Either may fail when the process has exited already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    lines
}
