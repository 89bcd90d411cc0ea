//! The command-line tools: `to_nsq`, `nsq_tail`, `nsq_stat`, `nsq_to_file`, `nsq_to_http`, `nsq_to_nsq`. Flags, output and
//! exit codes are those of NSQ's tools 1.3.0 (`apps/`); where they lose data or fall over, these do not
//! (`docs/differences.md`).
//!
//! Here is what they have in common: options to a running tool, where messages come from, signals. Each has a table of
//! options and an async function. What talks to nsqd is [`crate::client`].

pub mod nsq_stat;
pub mod nsq_tail;
pub mod nsq_to_file;
pub mod nsq_to_http;
pub mod nsq_to_nsq;
mod pool;
pub mod to_nsq;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures::stream::SelectAll;
use futures::{Stream, StreamExt as _};
use tracing::warn;

use crate::client::{Consumer, ConsumerControl, Message, Options};
use crate::config::{NSQ_VERSION, OptionSet, load_or_exit};
use crate::log::{self, LogFormat, LogLevel};
use crate::process::{StopSignal, pass_over_signals};

/// The options of a tool, with how it logs.
pub trait Tool: OptionSet {
    /// The least grave lines that are logged.
    fn log_level(&self) -> LogLevel {
        LogLevel::Info
    }

    /// What log lines start with.
    fn log_prefix(&self) -> String {
        format!("[{}] ", Self::PROGRAM.name)
    }
}

impl Tool for nsq_stat::NsqStatOptions {}
impl Tool for nsq_tail::NsqTailOptions {}
impl Tool for nsq_to_http::NsqToHttpOptions {}
impl Tool for nsq_to_nsq::NsqToNsqOptions {}
impl Tool for to_nsq::ToNsqOptions {}

/// Flags that are missing, or make no sense together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misuse(&'static str);

/// A tool, from its arguments to its exit code: 0, 1 for what goes wrong, 2 for flags that make no sense.
pub fn main<O: Tool>(
    args: impl IntoIterator<Item = OsString>,
    run: impl AsyncFnOnce(O, &[String]) -> Result<()>,
) -> ExitCode {
    let loaded = match load_or_exit::<O>(args, "") {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if log::init(&loaded.options.log_prefix(), loaded.options.log_level(), LogFormat::Text).is_err() {
        return ExitCode::FAILURE;
    }
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail::<O>(&anyhow!(error)),
    };
    let result = runtime.block_on(async {
        pass_over_signals()?;
        run(loaded.options, &loaded.ignored).await
    });
    // A read of standard input cannot be called off.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail::<O>(&error),
    }
}

/// Says why a tool ends, as Go's `log.Fatal` does: `2026/11/23 03:31:22 --topic required`.
fn fail<O: Tool>(error: &anyhow::Error) -> ExitCode {
    let time = jiff::Zoned::now();
    let mut text = format!("{} {error:#}\n", time.strftime("%Y/%m/%d %H:%M:%S"));
    if error.is::<Misuse>() {
        text += &format!("{} --help explains every flag, with examples\n", O::PROGRAM.name);
    }
    // Nobody may be there to read it.
    drop(std::io::stderr().write_all(text.as_bytes()));
    ExitCode::FAILURE
}

/// Where a tool's messages come from.
pub(super) struct Source<'a> {
    pub(super) nsqds: &'a [String],
    pub(super) lookupds: &'a [String],
}

impl Source<'_> {
    /// Exactly one kind of address is needed.
    pub(super) fn check(&self) -> Result<()> {
        match (self.nsqds, self.lookupds) {
            ([], []) => bail!(Misuse("--nsqd-tcp-address or --lookupd-http-address required")),
            ([_, ..], [_, ..]) => bail!(Misuse("use --nsqd-tcp-address or --lookupd-http-address not both")),
            _ => Ok(()),
        }
    }

    /// A consumer that starts to connect. An nsqd that was named and cannot be reached is an error.
    pub(super) async fn consumer(&self, topic: &str, channel: &str, options: &Options) -> Result<Consumer> {
        let mut builder = Consumer::builder(topic, channel).options(options.clone());
        for address in self.nsqds {
            builder = builder.nsqd(address);
        }
        for address in self.lookupds {
            builder = builder.lookupd(address);
        }
        if self.nsqds.is_empty() { Ok(builder.start()?) } else { Ok(builder.connect().await?) }
    }
}

/// The client's options for `tool`: its name, then what `pairs` say, each `name,value`.
pub(super) fn client_options(tool: &str, flag: &str, pairs: &[String]) -> Result<Options> {
    let mut options = Options::default();
    options.client_mut().user_agent = format!("{tool}/{NSQ_VERSION} sansq/{}", env!("CARGO_PKG_VERSION"));
    for pair in pairs {
        options.set_pair(pair).with_context(|| format!("--{flag} {pair}"))?;
    }
    options.check().with_context(|| format!("--{flag}"))?;
    // Some tools connect much later, and some never with TLS: a file that cannot be read is told now.
    options.tls_mut().config().with_context(|| format!("--{flag}: TLS"))?;
    Ok(options)
}

/// Whether whoever read standard output has gone away (`| head`): not a failure.
fn is_reader_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// A channel that nobody else is likely to have, gone with its last consumer.
pub(crate) fn random_channel() -> String {
    let number = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id()) % 999_999;
    format!("tail{number:06}#ephemeral")
}

/// Messages of several consumers as one stream, each with the number of its consumer. It ends when all have stopped.
pub(crate) struct Messages {
    streams: SelectAll<futures::stream::BoxStream<'static, (usize, Message)>>,
    controls: Vec<ConsumerControl>,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self { streams: SelectAll::new(), controls: Vec::new() }
    }

    /// One consumer more.
    pub(crate) fn add(&mut self, consumer: Consumer) {
        let number = self.controls.len();
        self.controls.push(consumer.control());
        self.streams.push(consumer.map(move |message| (number, message)).boxed());
    }

    /// The next message, from any of them.
    pub(super) async fn next(&mut self) -> Option<(usize, Message)> {
        self.streams.next().await
    }

    /// What there is already.
    pub(super) fn next_now(&mut self) -> Option<(usize, Message)> {
        use futures::FutureExt as _;
        self.streams.next().now_or_never().flatten()
    }

    /// The most messages that one of them has at once.
    fn set_max_in_flight(&self, consumer: usize, count: u32) {
        if let Some(control) = self.controls.get(consumer) {
            control.set_max_in_flight(count);
        }
    }

    /// Asks for no more.
    pub(super) fn stop(&self) {
        self.controls.iter().for_each(ConsumerControl::stop);
    }

    /// Stops. What nobody looked at yet goes back at once.
    pub(super) async fn give_back(&mut self) {
        self.stop();
        while let Some((_, message)) = self.next().await {
            message.requeue_without_backoff(Some(Duration::ZERO));
        }
    }
}

/// The signals that ask for an end, as a stream.
pub(super) fn terminations() -> Result<impl Stream<Item = ()> + Unpin> {
    Ok(stream_of(StopSignal::new()?))
}

/// What comes of connecting; nothing if a signal comes first. Who listens for signals only once it is connected is killed by one
/// that comes just then, with messages in flight.
pub(super) async fn unless_told_to_end<T>(
    signals: &mut (impl Stream<Item = ()> + Unpin),
    connecting: impl Future<Output = Result<T>>,
) -> Result<Option<T>> {
    tokio::select! {
        connected = connecting => connected.map(Some),
        _ = signals.next() => Ok(None),
    }
}

/// The same for who does something else on SIGHUP.
pub(super) fn terminations_without_hang_up() -> Result<impl Stream<Item = ()> + Unpin> {
    Ok(stream_of(StopSignal::without_hang_up()?))
}

fn stream_of(mut signals: StopSignal) -> impl Stream<Item = ()> + Unpin {
    futures::stream::poll_fn(move |context| signals.poll_received(context).map(Some))
}
