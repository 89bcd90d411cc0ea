//! `nsq_to_http`: sends each message to a web server, in the body of a POST or in the URL of a GET.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use futures::StreamExt as _;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use parking_lot::Mutex;
use sansq_core::rng::Rng;

use super::pool::{Mode, Pool, Statuses};
use super::{Misuse, Source, client_options, terminations, unless_told_to_end};
use crate::client::Message;
use crate::client::http::{HttpClient, check};
use crate::config::{Program, options, version_text};
use crate::tls::ClientTls;

const PROGRAM: Program = Program {
    name: "nsq_to_http",
    title: "sends messages to web servers",
    about: "\
        Sends each message of a topic to one of several web servers, and finishes it when the server has accepted it: any \
        2xx for POST, 200 for GET. Anything else makes the message come again later, and the tool slow down.",
    examples: &[
        (
            "nsq_to_http --topic=orders --post=http://127.0.0.1:8080/orders --nsqd-tcp-address=127.0.0.1:4150",
            "The message is the body of the request.",
        ),
        (
            "nsq_to_http --topic=clicks --get='http://127.0.0.1:8080/hit?m=%s' --lookupd-http-address=find1:4161",
            "The message is in the URL.",
        ),
    ],
};

options! {
    /// Everything `nsq_to_http` can be told.
    pub struct NsqToHttpOptions for PROGRAM;

    group "Where to": "Servers, and how they are asked." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "man" = Man, "Prints a page for man. Try nsq_to_http --man | man -l -.";
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(nsq_to_http --completions bash).";
        "post" <"URL"> => post: Vec<String> = Vec::new(),
            "A URL to POST messages to.";
        "get" <"URL"> => get: Vec<String> = Vec::new(),
            "A URL to GET, in which %s stands for the message, and %% for a percent sign.";
        "header" <"NAME: VALUE"> => headers: Vec<String> = Vec::new(),
            "A header of each request.";
        "content-type" <"TYPE"> => content_type: String = "application/octet-stream".to_owned(),
            "What a POST says its body is.";
        "mode" <"MODE"> => mode: String = "hostpool".to_owned(),
            "Which server is next: round-robin, hostpool (those that work, in turn), epsilon-greedy (mostly the fastest), or multicast, to all of them.";
        "n" => concurrency: u64 = 100,
            "The most requests at a time.";
        "sample" <"SHARE"> => sample: String = "1.0".to_owned(),
            "The share of messages to send, 0 to 1; others are finished unsent.";
        "http-client-connect-timeout" => connect_timeout: Duration = Duration::from_secs(2),
            "How long connecting may take.";
        "http-client-request-timeout" => request_timeout: Duration = Duration::from_secs(20),
            "How long a request may take.";
        "http-client-tls-root-ca-file" <"FILE"> => tls_root_ca_file: PathBuf = PathBuf::new(),
            "Certificates of the authorities to trust for https, PEM, instead of the system's.";
        "http-client-tls-cert" <"FILE"> => tls_cert: PathBuf = PathBuf::new(),
            "A certificate to show to https servers that want one, PEM. With --http-client-tls-key.";
        "http-client-tls-key" <"FILE"> => tls_key: PathBuf = PathBuf::new(),
            "The key of that certificate, PEM.";
        "http-client-tls-insecure-skip-verify" => tls_insecure_skip_verify: bool = false,
            "Takes any certificate for any https server's.";
        "status-every" => status_every: u64 = 250,
            "Says how long requests take after so many. 0 says nothing.";
    }

    group "Where from": "A topic, and either nsqds or nsqlookupds that know them." {
        "topic" <"TOPIC"> => topic: String = String::new(),
            "The topic to send.";
        "channel" <"CHANNEL"> => channel: String = "nsq_to_http".to_owned(),
            "The channel to read from.";
        "nsqd-tcp-address" <"HOST:PORT"> => nsqd_tcp_addresses: Vec<String> = Vec::new(),
            "An nsqd to read from.";
        "lookupd-http-address" <"HOST:PORT"> => lookupd_http_addresses: Vec<String> = Vec::new(),
            "An nsqlookupd to ask for nsqds.";
        "max-in-flight" => max_in_flight: u64 = 200,
            "The most messages to have at once.";
        "consumer-opt" <"NAME,VALUE"> => consumer_opts: Vec<String> = Vec::new(),
            "An option of the client, such as max_attempts,0. Its name alone means true.";
    }
}

/// Runs it until a signal.
pub async fn run(options: NsqToHttpOptions, _: &[String]) -> Result<()> {
    let source = Source { nsqds: &options.nsqd_tcp_addresses, lookupds: &options.lookupd_http_addresses };
    ensure!(!options.topic.is_empty() && !options.channel.is_empty(), Misuse("--topic and --channel are required"));
    ensure!(!options.connect_timeout.is_zero(), Misuse("--http-client-connect-timeout should be positive"));
    ensure!(!options.request_timeout.is_zero(), Misuse("--http-client-request-timeout should be positive"));
    source.check()?;
    let sender = Arc::new(Sender::new(&options)?);
    let mut client = client_options("nsq_to_http", "consumer-opt", &options.consumer_opts)?;
    client.client_mut().max_in_flight = u32::try_from(options.max_in_flight).unwrap_or(u32::MAX);
    let mut signals = terminations()?;
    let connecting = source.consumer(&options.topic, &options.channel, &client);
    let Some(consumer) = unless_told_to_end(&mut signals, connecting).await? else { return Ok(()) };
    let control = consumer.control();
    let concurrency = usize::try_from(options.concurrency).unwrap_or(usize::MAX);
    let stopping = async {
        signals.next().await;
        control.stop();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = consumer.run(concurrency, async |message| sender.send(message).await) => Ok(()),
        () = stopping => Ok(()),
    }
}

struct Sender {
    http: HttpClient,
    method: Method,
    /// As they were given, for people.
    urls: Vec<String>,
    targets: Vec<Target>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// None sends every message to all.
    mode: Option<Mutex<Pool>>,
    statuses: Mutex<Statuses>,
    /// Messages to send, in millionths, and the dice.
    sample: u64,
    rng: Mutex<Rng>,
}

impl Sender {
    fn new(options: &NsqToHttpOptions) -> Result<Self> {
        let (method, urls) = match (options.get.as_slice(), options.post.as_slice()) {
            ([], []) => bail!(Misuse("--get or --post required")),
            ([_, ..], [_, ..]) => bail!("only one of --get or --post may be used"),
            (urls @ [_, ..], []) => (Method::GET, urls.to_vec()),
            ([], urls) => (Method::POST, urls.to_vec()),
        };
        let targets = match method {
            Method::GET => urls.iter().map(|url| Target::of_get(url)).collect::<Result<_>>()?,
            _ => urls.iter().map(|url| Target::of_post(url)).collect::<Vec<_>>(),
        };
        for target in &targets {
            check(&target.url(b"x"))?;
        }
        let typed = options.sources.is_set("content-type");
        ensure!(method == Method::POST || !typed, Misuse("--content-type only used with --post"));
        let sample: f64 = options
            .sample
            .trim()
            .parse()
            .ok()
            .filter(|it| (0.0..=1.0).contains(it))
            .context("--sample must be between 0.0 and 1.0")?;
        let seed = crate::client::seed();
        let mode = match options.mode.as_str() {
            "multicast" => None,
            name => {
                let known = "round-robin, hostpool, epsilon-greedy or multicast";
                let mode = Mode::parse(name).with_context(|| format!("--mode {name:?}: it is {known}"))?;
                Some(Mutex::new(Pool::new(mode, urls.len(), Instant::now(), seed)))
            }
        };
        let tls = ClientTls::of_flags(
            &options.tls_root_ca_file,
            &options.tls_cert,
            &options.tls_key,
            options.tls_insecure_skip_verify,
        );
        Ok(Self {
            http: HttpClient::with_tls(options.connect_timeout, options.request_timeout, &tls)
                .context("--http-client-tls-*")?,
            headers: headers(options, &method)?,
            method,
            statuses: Mutex::new(Statuses::new(&urls, options.status_every)),
            urls,
            targets,
            mode,
            sample: (sample * 1e6) as u64,
            rng: Mutex::new(Rng::new(seed)),
        })
    }

    async fn send(&self, message: &Message) -> Result<()> {
        if self.sample < 1_000_000 && self.rng.lock().below(1_000_000) >= self.sample {
            return Ok(());
        }
        let Some(pool) = &self.mode else {
            for url in 0..self.urls.len() {
                self.send_to(url, &message.body).await?;
            }
            return Ok(());
        };
        let url = pool.lock().choose(Instant::now());
        let began = Instant::now();
        let sent = self.send_to(url, &message.body).await;
        pool.lock().report(Instant::now(), url, began.elapsed(), sent.is_ok());
        sent
    }

    async fn send_to(&self, index: usize, body: &Bytes) -> Result<()> {
        let began = Instant::now();
        let url = self.targets[index].url(body);
        let body = if self.method == Method::GET { Bytes::new() } else { body.clone() };
        let answer = self.http.request(self.method.clone(), &url, &self.headers, body).await?;
        let accepted = if self.method == Method::GET { answer.status == 200 } else { answer.status.is_success() };
        if !accepted {
            return Err(anyhow!("{}: {}", self.urls[index], answer.status));
        }
        self.statuses.lock().add(index, began.elapsed());
        Ok(())
    }
}

/// Where a message is sent: a URL, with the message behind its first part if there is a second.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    before: String,
    after: Option<String>,
}

impl Target {
    fn of_post(url: &str) -> Self {
        Self { before: url.to_owned(), after: None }
    }

    /// Reads a URL as `printf` does: `%s` stands for the message and `%%` for a percent sign. Beyond that, an escape such as
    /// `%20` stands for itself; the reference takes it, and what follows, for one more verb.
    fn of_get(text: &str) -> Result<Self> {
        let (mut before, mut after) = (String::new(), None::<String>);
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let (plain, found) = rest.split_at(at);
            after.as_mut().unwrap_or(&mut before).push_str(plain);
            let is_escape = |two: &str| two.bytes().all(|byte| byte.is_ascii_hexdigit());
            let taken = match found.as_bytes() {
                [_, b's', ..] if after.is_none() => {
                    after = Some(String::new());
                    2
                }
                [_, b's', ..] => bail!("invalid GET address {text:?}: it has more than one %s"),
                [_, b'%', ..] => {
                    after.as_mut().unwrap_or(&mut before).push('%');
                    2
                }
                _ if found.get(1..3).is_some_and(is_escape) => {
                    after.as_mut().unwrap_or(&mut before).push_str(&found[..3]);
                    3
                }
                _ => {
                    let word: String = found.chars().take(2).collect();
                    bail!(
                        "invalid GET address {text:?}: {word:?} is neither %s, for the message, nor an escape such as %20; \
                         a percent sign is written %%"
                    );
                }
            };
            rest = &found[taken..];
        }
        match after {
            Some(after) => Ok(Self { before, after: Some(after + rest) }),
            None => bail!("invalid GET address {text:?}: it needs a %s, which stands for the message"),
        }
    }

    /// The URL for a message.
    fn url(&self, body: &[u8]) -> String {
        match &self.after {
            Some(after) => format!("{}{}{after}", self.before, form_encoded(body)),
            None => self.before.clone(),
        }
    }
}

/// The headers of each request; those that were given come last and win.
fn headers(options: &NsqToHttpOptions, method: &Method) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let mut headers = vec![(USER_AGENT, HeaderValue::from_str(&version_text("nsq_to_http"))?)];
    if *method == Method::POST {
        headers.push((CONTENT_TYPE, HeaderValue::from_str(&options.content_type).context("--content-type")?));
    }
    for header in &options.headers {
        let (name, value) = header.split_once(':').unwrap_or_default();
        let (name, value) = (name.trim(), value.trim());
        ensure!(!name.is_empty() && !value.is_empty(), "--header {header:?} should be 'name: value'");
        let name = HeaderName::from_bytes(name.as_bytes()).with_context(|| format!("--header {header:?}"))?;
        let value = HeaderValue::from_str(value).with_context(|| format!("--header {header:?}"))?;
        headers.retain(|(there, _)| *there != name || *there != USER_AGENT && *there != CONTENT_TYPE);
        headers.push((name, value));
    }
    Ok(headers)
}

/// As browsers encode forms: space becomes `+`.
fn form_encoded(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for &byte in body {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            b' ' => text.push('+'),
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_in_a_url_are_printfs_or_escapes() {
        for (text, url) in [
            ("http://h/?q=%s", "http://h/?q=a+b"),
            ("http://h/%s/x?y#z", "http://h/a+b/x?y#z"),
            ("http://h/in%%20box?q=%s", "http://h/in%20box?q=a+b"),
            ("http://h/in%20box?q=%s", "http://h/in%20box?q=a+b"),
            ("http://h/%2Fé%c3%A9%s%20%%20%%", "http://h/%2Fé%c3%A9a+b%20%20%"),
            ("%%%s%%s%%%%", "%a+b%s%%"),
        ] {
            assert_eq!(Target::of_get(text).unwrap().url(b"a b"), url, "{text}");
        }
        for (text, reason) in [
            ("http://h/", "it needs a %s"),
            ("http://h/%%s", "it needs a %s"),
            ("http://h/%20", "it needs a %s"),
            ("http://h/%s?q=%s", "it has more than one %s"),
            ("http://h/%d?q=%s", "\"%d\" is neither"),
            ("http://h/50% off?q=%s", "\"% \" is neither"),
            ("http://h/%2?q=%s", "\"%2\" is neither"),
            ("http://h/%é?q=%s", "\"%é\" is neither"),
            ("http://h/%s%", "\"%\" is neither"),
        ] {
            let error = Target::of_get(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid GET address {text:?}: {reason}")), "{error}");
        }
        assert_eq!(Target::of_post("http://h/in%20box%s%%").url(b"x"), "http://h/in%20box%s%%");
    }

    #[test]
    fn bodies_in_urls_are_encoded_as_forms_are() {
        assert_eq!(form_encoded(b"a b&c"), "a+b%26c");
        assert_eq!(form_encoded("é%".as_bytes()), "%C3%A9%25");
    }
}
