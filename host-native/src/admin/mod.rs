//! nsqadmin as a process: pages, and a JSON API that answers from what nsqlookupds and nsqds say. It keeps nothing but the
//! last minutes of what pages show (`live`). How answers are brought together is the core's (`sansq_core::cluster`).
//!
//! Connections and requests are on worker threads, the poller on one of its own, and with it what reads and writes all that
//! nsqds say; each request asks all it needs to ask at once (`upstream`). A node that does not answer costs its part of the answer, and the time of `--http-client-request-timeout`.

mod acl;
mod actions;
mod api;
mod assets;
mod discovery;
mod graphite;
mod http;
mod live;
mod notify;
mod peek;
mod settings;
mod upstream;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::http::HttpClient;
use crate::config::{NsqadminOptions, nsqadmin, version_text};
use crate::http::gate::Gate;
use crate::http::serve;
use crate::http::token::Token;
use crate::log::LogHandle;
use crate::process;
use crate::tcp::Listener;
use crate::workers::Workers;
use live::Live;
use notify::Notifier;
use upstream::Upstream;

/// A running nsqadmin.
pub struct Admin {
    workers: Arc<Workers>,
    polling: Workers,
    serving: JoinHandle<()>,
    stop_serving: watch::Sender<bool>,
    /// Where it listens.
    pub address: String,
}

impl Admin {
    /// Starts nsqadmin: listens.
    pub async fn start(options: NsqadminOptions, log: LogHandle) -> Result<Self> {
        tracing::info!("{}", version_text("nsqadmin"));
        let options = options.checked().map_err(instantiating)?;
        resolve(&options).await.map_err(instantiating)?;
        assets::check(&options.dev_static_dir).map_err(instantiating)?;
        let token = token(&options).map_err(instantiating)?;
        let named = &options.http_allowed_hosts;
        let gate = (!named.is_empty()).then(|| Gate::of_hosts(named)).transpose().map_err(instantiating)?;
        let for_requests = upstream(&options)?;
        // Its connections are served on the thread that polls, which requests should not have to wait for.
        let for_polls = upstream(&options)?;
        let (listener, bound) = Listener::bind(&options.http_address).await.map_err(instantiating)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = Arc::new(Workers::start(cores).context("cannot start worker threads").map_err(instantiating)?);
        let polling = Workers::start_named("poller", 1).context("cannot start a thread").map_err(instantiating)?;

        let (stop_serving, mut stopped) = watch::channel(false);
        let thread = polling.next().clone();
        let live = Live::new(options.live_interval, stopped.clone(), thread);
        let (notifier, telling) = Notifier::new(&options, for_requests.http.clone());
        if let Some(telling) = telling {
            workers.spawn(telling);
        }
        let api = Arc::new(http::Api::new(options, log, for_requests, live.clone(), notifier, token, gate));
        polling.spawn(live.poll(for_polls, api.options.subscribe()));
        let serving = tokio::spawn(serve(listener, api, workers.clone(), async move {
            // An error means that the daemon is gone, which is the same order.
            _ = stopped.wait_for(|stop| *stop).await;
        }));
        Ok(Self { workers, polling, serving, stop_serving, address: bound.address })
    }

    /// Ends it, and closes all connections.
    pub async fn stop(self) -> Result<()> {
        self.stop_serving.send_replace(true);
        // It ended early only if it panicked, which was logged.
        _ = self.serving.await;
        tokio::task::spawn_blocking(move || drop((self.polling, self.workers))).await?;
        tracing::info!("NSQADMIN: stopped");
        Ok(())
    }
}

/// Who asks, with connections of its own.
fn upstream(options: &NsqadminOptions) -> Result<Upstream> {
    let (connect, request) = (options.http_client_connect_timeout, options.http_client_request_timeout);
    let http = HttpClient::with_tls(connect, request, &options.client_tls()).context("--http-client-tls-*");
    Ok(Upstream::new(http.map_err(instantiating)?))
}

/// The token for nsqds, if there is one.
fn token(options: &NsqadminOptions) -> Result<Option<Token>> {
    let file = &options.nsqd_http_token_file;
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    Token::read(file).map(Some).map_err(|bad| anyhow!("--nsqd-http-token-file {}: {bad}", file.display()))
}

/// Whether every address means something. Whether anybody is there shows later.
async fn resolve(options: &NsqadminOptions) -> Result<()> {
    for (flag, addresses) in
        [("lookupd-http-address", &options.lookupd_http_addresses), ("nsqd-http-address", &options.nsqd_http_addresses)]
    {
        for address in addresses {
            let failed = |why: String| anyhow!("failed to resolve --{flag} ({address}) - {why}");
            let found = tokio::net::lookup_host(address).await.map_err(|error| failed(error.to_string()))?.next();
            found.ok_or_else(|| failed("no such host".to_owned()))?;
        }
    }
    Ok(())
}

fn instantiating(error: impl Into<anyhow::Error>) -> anyhow::Error {
    error.into().context("failed to instantiate nsqadmin")
}

/// The nsqadmin process. `args`: the words after its name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (options, log) = match nsqadmin::start(args) {
        Ok(started) => started,
        Err(code) => return code,
    };
    process::exit_code(process::run(async |mut stop| {
        let admin = Admin::start(options, log).await?;
        stop.received().await;
        admin.stop().await
    }))
}
