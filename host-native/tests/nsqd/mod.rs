//! An nsqd as a process: ours, or the one that `SANSQ_NSQD` names.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// An nsqd; killed when dropped.
pub(crate) struct Nsqd {
    child: Child,
    /// Where it listens.
    pub(crate) tcp: String,
    /// Where its HTTP API is.
    #[allow(dead_code, reason = "not used by every test program")]
    pub(crate) http: String,
    _data: tempfile::TempDir,
}

impl Nsqd {
    /// One with the options it has by default.
    #[allow(dead_code, reason = "not used by every test program")]
    pub(crate) fn start() -> Self {
        Self::start_with("127.0.0.1:0", &[])
    }

    /// One that listens at `tcp`, with these arguments besides.
    pub(crate) fn start_with(tcp: &str, args: &[String]) -> Self {
        let program =
            std::env::var("SANSQ_NSQD").unwrap_or_else(|_| concat!(env!("CARGO_BIN_EXE_sansq"), " nsqd").to_owned());
        let mut words = program.split_whitespace();
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .args(args)
            .args(["--http-address=127.0.0.1:0", &format!("--tcp-address={tcp}")])
            .arg(format!("--data-path={}", data.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut tcp, mut http) = (None, None);
        while tcp.is_none() || http.is_none() {
            let line = lines.next().expect("it listens").unwrap();
            for (protocol, address) in [(" TCP: listening on ", &mut tcp), (" HTTP: listening on ", &mut http)] {
                if let Some((_, at)) = line.split_once(protocol) {
                    *address = Some(at.to_owned());
                }
            }
        }
        let (tcp, http) = (tcp.unwrap(), http.unwrap());
        // It must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, tcp, http, _data: data }
    }
}

impl Drop for Nsqd {
    fn drop(&mut self) {
        // Either may fail when the process has exited already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
