//! `nsq_to_file`: archives topics, a file for each topic and time. Options and their checks, and which topics there are;
//! [`archive`] writes messages, [`mod@file`] knows files, [`name`] their names, [`moving`] brings them to their place.

mod archive;
mod file;
mod moving;
mod name;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use regex::Regex;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use self::archive::{Archive, Orders};
use self::file::Settings;
use self::name::{NameFormat, Parts};
use super::{Misuse, Source, Tool, client_options, terminations_without_hang_up};
use crate::client::Options;
use crate::client::http::HttpClient;
use crate::config::{Program, options};
use crate::log::LogLevel;

const PROGRAM: Program = Program {
    name: "nsq_to_file",
    title: "archives topics in files",
    about: "\
        Writes each message as a line to a file of its topic, and finishes it when it is on disk. Files are named after \
        topic, host and hour, and can be compressed, limited in size and age, and moved to their place when they are \
        complete. SIGHUP closes files; the next message opens another.",
    examples: &[
        (
            "nsq_to_file --topic=access --output-dir=/var/archive --lookupd-http-address=find1:4161",
            "A file for each hour, access.HOST.2026-01-02_15.log.",
        ),
        (
            "nsq_to_file --topic-pattern='^log-' --gzip --rotate-size=100000000 --work-dir=/var/work --output-dir=/var/archive --lookupd-http-address=find1:4161",
            "All topics that begin with log-, compressed, complete files only.",
        ),
    ],
};

options! {
    /// Everything `nsq_to_file` can be told.
    // Help texts are also docs, and tokens look like tags.
    #[allow(rustdoc::invalid_html_tags)]
    pub struct NsqToFileOptions for PROGRAM;

    group "What to archive": "Topics by name, or all that a pattern matches." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "man" = Man, "Prints a page for man. Try nsq_to_file --man | man -l -.";
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(nsq_to_file --completions bash).";
        "topic" <"TOPIC"> => topics: Vec<String> = Vec::new(),
            "A topic to archive.";
        "topic-pattern" <"REGEX"> => topic_pattern: String = String::new(),
            "Archives only topics that match. Without --topic, all that nsqlookupd knows, and new ones as they come.";
        "topic-refresh" => topic_refresh: Duration = Duration::from_secs(60),
            "How often nsqlookupd is asked for new topics.";
        "channel" <"CHANNEL"> => channel: String = "nsq_to_file".to_owned(),
            "The channel to read from.";
    }

    group "Files": "Where they are, and what they are called." {
        "output-dir" <"DIR"> => output_dir: PathBuf = "/tmp".into(),
            "Where complete files are.";
        "work-dir" <"DIR"> => work_dir: PathBuf = PathBuf::new(),
            "Where files are while they are written. The output directory if not said. Complete files are copied if it is on another file system.";
        "filename-format" <"FORMAT"> => filename_format: String = "<TOPIC>.<HOST><REV>.<DATETIME>.log".to_owned(),
            "Names of files, with <TOPIC>, <HOST>, <PID>, <DATETIME> and, where several may want the same name, <REV>. May have directories in it.";
        "datetime-format" <"FORMAT"> => datetime_format: String = "%Y-%m-%d_%H".to_owned(),
            "What <DATETIME> is, in words of strftime; a file is as long as it stays the same.";
        "host-identifier" <"TEXT"> => host_identifier: String = String::new(),
            "What <HOST> is, with <SHORT_HOST> and <HOSTNAME>. The host's short name if not said.";
        "gzip" => gzip: bool = false,
            "Compresses files. Each sync ends a member, so that what is on disk can be read.";
        "gzip-level" <"1-9"> => gzip_level: u64 = 6,
            "How hard to compress.";
        "skip-empty-files" => skip_empty_files: bool = false,
            "Makes no file for a time without messages.";
        "rotate-size" <"BYTES"> => rotate_size: u64 = 0,
            "Goes on in another file beyond this size, before compression. 0 for no limit.";
        "rotate-interval" => rotate_interval: Duration = Duration::ZERO,
            "Goes on in another file after this time. 0 for no limit.";
        "sync-interval" => sync_interval: Duration = Duration::from_secs(30),
            "How long a message may wait to be synced, and so to be finished.";
    }

    group "Where from": "Either nsqds, or nsqlookupds that know them." {
        "nsqd-tcp-address" <"HOST:PORT"> => nsqd_tcp_addresses: Vec<String> = Vec::new(),
            "An nsqd to read from.";
        "lookupd-http-address" <"HOST:PORT"> => lookupd_http_addresses: Vec<String> = Vec::new(),
            "An nsqlookupd to ask for nsqds.";
        "max-in-flight" => max_in_flight: u64 = 200,
            "The most messages to have at once; as many are synced together.";
        "consumer-opt" <"NAME,VALUE"> => consumer_opts: Vec<String> = Vec::new(),
            "An option of the client, such as max_attempts,0. Its name alone means true.";
        "http-client-connect-timeout" => connect_timeout: Duration = Duration::from_secs(2),
            "How long connecting to nsqlookupd may take.";
        "http-client-request-timeout" => request_timeout: Duration = Duration::from_secs(5),
            "How long a question to nsqlookupd may take.";
        "log-level" => log_level: LogLevel = LogLevel::Info,
            "The least grave lines to log.";
        "log-prefix" => log_prefix: String = "[nsq_to_file] ".to_owned(),
            "What each log line starts with.";
    }
}

impl Tool for NsqToFileOptions {
    fn log_level(&self) -> LogLevel {
        self.log_level
    }

    fn log_prefix(&self) -> String {
        self.log_prefix.clone()
    }
}

impl NsqToFileOptions {
    fn check(&self, unknown: &[String]) -> Result<()> {
        ensure!(unknown.is_empty(), "unknown arguments: {unknown:?}");
        ensure!(!self.channel.is_empty(), Misuse("--channel is required"));
        ensure!(!self.connect_timeout.is_zero(), Misuse("--http-client-connect-timeout should be positive"));
        ensure!(!self.request_timeout.is_zero(), Misuse("--http-client-request-timeout should be positive"));
        ensure!(!self.sync_interval.is_zero(), Misuse("--sync-interval should be positive"));
        ensure!(!self.topic_refresh.is_zero(), Misuse("--topic-refresh should be positive"));
        self.source().check()?;
        let level = self.gzip_level;
        ensure!((1..=9).contains(&level), "invalid --gzip-level value ({level}), should be 1-9");
        ensure!(
            !self.topics.is_empty() || !self.topic_pattern.is_empty(),
            Misuse("--topic or --topic-pattern required")
        );
        ensure!(
            !self.topics.is_empty() || !self.lookupd_http_addresses.is_empty(),
            "--lookupd-http-address must be specified when no --topic specified"
        );
        Ok(())
    }

    fn source(&self) -> Source<'_> {
        Source { nsqds: &self.nsqd_tcp_addresses, lookupds: &self.lookupd_http_addresses }
    }

    fn settings(&self) -> Settings {
        let output_dir = self.output_dir.clone();
        Settings {
            work_dir: if self.work_dir.as_os_str().is_empty() { output_dir.clone() } else { self.work_dir.clone() },
            output_dir,
            gzip: self.gzip.then_some(self.gzip_level as u32),
            rotate_size: self.rotate_size,
            rotate_interval: self.rotate_interval,
        }
    }

    fn names(&self, topic: &str, settings: &Settings) -> Result<NameFormat> {
        let hostname = gethostname::gethostname();
        let parts = Parts {
            filename_format: &self.filename_format,
            datetime_format: &self.datetime_format,
            host_identifier: &self.host_identifier,
            hostname: &hostname.to_string_lossy(),
            gzip: self.gzip,
            needs_rev: settings.needs_rev(),
        };
        NameFormat::new(topic, &parts)
    }
}

/// Runs it until a signal, or until something cannot be written.
pub async fn run(options: NsqToFileOptions, unknown: &[String]) -> Result<()> {
    options.check(unknown)?;
    let pattern = Regex::new(&options.topic_pattern).context("--topic-pattern")?;
    let mut client = client_options("nsq_to_file", "consumer-opt", &options.consumer_opts)?;
    client.client_mut().max_in_flight = u32::try_from(options.max_in_flight).unwrap_or(u32::MAX);
    // A wrong format is told before anything is connected.
    options.names("t", &options.settings())?;

    let (orders, _) = watch::channel(Orders::default());
    let http = HttpClient::new(options.connect_timeout, options.request_timeout);
    let mut archives = Archives {
        options: Arc::new(options),
        pattern,
        client,
        http,
        orders,
        topics: BTreeSet::new(),
        running: FuturesUnordered::new(),
    };
    archives.run().await
}

struct Archives {
    options: Arc<NsqToFileOptions>,
    pattern: Regex,
    client: Options,
    http: HttpClient,
    orders: watch::Sender<Orders>,
    topics: BTreeSet<String>,
    running: FuturesUnordered<JoinHandle<Result<()>>>,
}

impl Archives {
    async fn run(&mut self) -> Result<()> {
        let mut terminations = terminations_without_hang_up()?;
        let mut hang_ups = signal(SignalKind::hangup())?;
        let mut refresh = tokio::time::interval(self.options.topic_refresh);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let options = Arc::clone(&self.options);
        let discovers = options.topics.is_empty();
        self.add(options.topics.iter().cloned()).await?;
        ensure!(discovers || !self.running.is_empty(), "no --topic matches --topic-pattern {}", options.topic_pattern);
        loop {
            tokio::select! {
                _ = refresh.tick(), if discovers => {
                    let topics = self.discover().await;
                    self.add(topics.into_iter()).await?;
                }
                _ = hang_ups.recv() => self.orders.send_modify(|orders| orders.hang_ups += 1),
                _ = terminations.next() => {
                    info!("stopping");
                    self.orders.send_modify(|orders| orders.stop = true);
                    while let Some(ended) = self.running.next().await {
                        ended??;
                    }
                    return Ok(());
                }
                Some(ended) = self.running.next() => {
                    ended??;
                    bail!("an archive ended by itself");
                }
            }
        }
    }

    /// Starts archiving those of `topics` that match and are new.
    async fn add(&mut self, topics: impl Iterator<Item = String>) -> Result<()> {
        for topic in topics.filter(|topic| self.pattern.is_match(topic)) {
            if !self.topics.insert(topic.clone()) {
                continue;
            }
            info!("archiving topic {topic}");
            let settings = self.options.settings();
            let archive = Archive {
                names: self.options.names(&topic, &settings)?,
                settings,
                max_in_flight: usize::try_from(self.options.max_in_flight).unwrap_or(usize::MAX).max(1),
                sync_interval: self.options.sync_interval,
                skip_empty_files: self.options.skip_empty_files,
                file: None,
                pending: Vec::new(),
            };
            let consumer = self.options.source().consumer(&topic, &self.options.channel, &self.client).await?;
            let (orders, runtime) = (self.orders.subscribe(), tokio::runtime::Handle::current());
            self.running.push(tokio::task::spawn_blocking(move || runtime.block_on(archive.run(consumer, orders))));
        }
        Ok(())
    }

    /// The topics that any nsqlookupd knows.
    async fn discover(&self) -> BTreeSet<String> {
        let mut topics = BTreeSet::new();
        for address in &self.options.lookupd_http_addresses {
            match self.topics_of(address).await {
                Ok(more) => topics.extend(more),
                Err(error) => warn!("could not retrieve topics: {error:#}"),
            }
        }
        topics
    }

    async fn topics_of(&self, address: &str) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Topics {
            topics: Vec<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Answer {
            Plain(Topics),
            // Of nsqlookupd before 1.0.
            Enveloped { data: Topics },
        }
        let base = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let answer = self.http.get(&format!("{}/topics", base.trim_end_matches('/')), &[]).await?;
        ensure!(answer.status == 200, "{base}: {}", answer.status);
        let answer =
            serde_json::from_slice(&answer.body).with_context(|| format!("{base}: not an answer of nsqlookupd"))?;
        Ok(match answer {
            Answer::Plain(topics) | Answer::Enveloped { data: topics } => topics.topics,
        })
    }
}
