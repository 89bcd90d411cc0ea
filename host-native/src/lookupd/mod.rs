//! nsqlookupd as a process: registrations over TCP, answers over HTTP. What is known is one [`Registry`] behind one lock,
//! taken for each read of a connection and for each question; nothing is awaited under it, and nothing is on disk.

mod connection;
mod http;
#[cfg(test)]
pub(crate) mod scenes;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::RwLock;
use sansq_core::lookup::{Lifetimes, Registry, Server, Session};
use sansq_core::protocol::ConnId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{NSQ_VERSION, NsqlookupdOptions, hostname, nsqlookupd, version_text};
use crate::daemon::Addresses;
use crate::http::gate::Gate;
use crate::http::serve;
use crate::node::Clock;
use crate::process;
use crate::tcp::{Bound, Listener};
use crate::workers::Workers;

/// What connections and requests share.
struct State {
    registry: RwLock<Registry>,
    clock: Clock,
    /// What an nsqd is told of this nsqlookupd.
    server: Arc<Server>,
    idle_timeout: Option<Duration>,
    last_conn: AtomicU64,
}

impl State {
    /// A session for a new connection from `remote_address`.
    fn session(&self, remote_address: String) -> Session {
        let conn = ConnId(self.last_conn.fetch_add(1, Ordering::Relaxed) + 1);
        Session::new(self.clock.now(), conn, remote_address, self.server.clone(), self.idle_timeout)
    }
}

/// A running nsqlookupd.
pub struct Lookupd {
    workers: Arc<Workers>,
    accepting: JoinHandle<()>,
    serving: JoinHandle<()>,
    stop_serving: watch::Sender<bool>,
    /// Where it listens.
    pub addresses: Addresses,
}

impl Lookupd {
    /// Starts nsqlookupd: listens.
    pub async fn start(options: NsqlookupdOptions) -> Result<Self> {
        tracing::info!("{}", version_text("nsqlookupd"));
        let gate = Gate::of_origins(&options.http_allowed_origins).map_err(instantiating)?;
        let (tcp_listener, tcp) = Listener::bind(&options.tcp_address).await.map_err(instantiating)?;
        let (http_listener, http) = Listener::bind(&options.http_address).await.map_err(instantiating)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = Arc::new(Workers::start(cores).context("cannot start worker threads").map_err(instantiating)?);
        let state = Arc::new(state(&options, &tcp, &http));

        tracing::info!("TCP: listening on {}", tcp.address);
        let accepting = tokio::spawn({
            let (state, workers) = (state.clone(), workers.clone());
            let accepted = move |socket, address| connection::serve(socket, address, &state, &workers);
            async move { tcp_listener.accept_all("TCP", accepted).await }
        });
        let (stop_serving, mut stopped) = watch::channel(false);
        let serving =
            tokio::spawn(serve(http_listener, Arc::new(http::Api { state, gate }), workers.clone(), async move {
                // An error means that the daemon is gone, which is the same order.
                _ = stopped.wait_for(|stop| *stop).await;
            }));
        let addresses = Addresses { tcp: tcp.address, http: Some(http.address), https: None };
        Ok(Self { workers, accepting, serving, stop_serving, addresses })
    }

    /// Ends it, and closes all connections.
    pub async fn stop(self) -> Result<()> {
        self.accepting.abort();
        self.stop_serving.send_replace(true);
        // It ended early only if it panicked, which was logged.
        _ = self.serving.await;
        tokio::task::spawn_blocking(move || drop(self.workers)).await?;
        tracing::info!("NSQLOOKUPD: stopped");
        Ok(())
    }
}

fn state(options: &NsqlookupdOptions, tcp: &Bound, http: &Bound) -> State {
    let lifetimes = Lifetimes {
        inactive_producer_timeout: options.inactive_producer_timeout,
        tombstone_lifetime: options.tombstone_lifetime,
    };
    let server = Server {
        broadcast_address: options.broadcast_address.clone(),
        hostname: hostname(),
        http_port: http.port.unwrap_or(0),
        tcp_port: tcp.port.unwrap_or(0),
        version: NSQ_VERSION.to_owned(),
    };
    State {
        registry: RwLock::new(Registry::new(lifetimes)),
        clock: Clock::start(),
        server: Arc::new(server),
        idle_timeout: Some(options.idle_timeout).filter(|timeout| !timeout.is_zero()),
        last_conn: AtomicU64::new(0),
    }
}

fn instantiating(error: impl Into<anyhow::Error>) -> anyhow::Error {
    error.into().context("failed to instantiate nsqlookupd")
}

/// The nsqlookupd process. `args`: the words after its name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match nsqlookupd::start(args) {
        Ok((options, _)) => options,
        Err(code) => return code,
    };
    process::exit_code(process::run(async |mut stop| {
        let lookupd = Lookupd::start(options).await?;
        stop.received().await;
        lookupd.stop().await
    }))
}
