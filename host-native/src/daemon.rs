//! nsqd as a process: from options to a running daemon and, on a signal, to its end with everything on disk.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, Weak};

use anyhow::{Context, Result, anyhow, bail};
use sansq_core::config::{Config, PublishAck};
use sansq_core::latency::Quantile;
use sansq_core::session::Features;
use sansq_core::storage::StoreOptions;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::auth::AuthServers;
use crate::client::http::HttpClient;
use crate::config::nsqd::TlsRequired;
use crate::config::{NsqdOptions, nsqd, version_text};
use crate::http::gate::Gate;
use crate::http::{self, Api, Ports};
use crate::log::LogHandle;
use crate::node::{Node, Unsaved};
use crate::process;
use crate::registration::keep_registered;
use crate::statsd::{StatsdOptions, keep_reporting};
use crate::storage::{DataPathLock, StorageThread};
use crate::tcp::{self, Bound, Listener, Terms};
use crate::workers::Workers;

/// A running nsqd.
pub struct Daemon {
    api: Arc<Api>,
    node: Arc<Node>,
    workers: Arc<Workers>,
    accepting: JoinHandle<()>,
    registering: JoinHandle<()>,
    reporting: Option<JoinHandle<()>>,
    /// HTTP, HTTPS.
    serving: Vec<JoinHandle<()>>,
    stop_serving: watch::Sender<bool>,
    /// Where it listens.
    pub addresses: Addresses,
    storage: StorageThread,
    _lock: DataPathLock,
}

/// Where a daemon listens, as text.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// For clients.
    pub tcp: String,
    /// For HTTP, if that is on.
    pub http: Option<String>,
    /// For HTTPS, if that is on.
    pub https: Option<String>,
}

impl Daemon {
    /// Starts nsqd: takes the data path, recovers topics and their messages, listens.
    pub async fn start(mut options: NsqdOptions, log: LogHandle) -> Result<Self> {
        tracing::info!("{}", version_text("nsqd"));
        tracing::info!("ID: {}", options.id);
        let terms = terms(&options).map_err(instantiating)?;
        let gate = Gate::of(&options).map_err(instantiating)?;
        let working_directory = Path::new(".");
        let data_path = if options.data_path.as_os_str().is_empty() { working_directory } else { &options.data_path };
        let lock = DataPathLock::take(data_path).map_err(instantiating)?;
        let (node, storage) = start_node(&options, data_path).map_err(instantiating)?;
        node.load_metadata().map_err(|error| anyhow!("failed to load metadata - {error}"))?;
        node.opened().await;
        node.persist_metadata().await.map_err(|error| anyhow!("failed to persist metadata - {error}"))?;
        tokio::spawn(node.clone().keep_metadata());

        let (tcp_listener, tcp) = Listener::bind(&options.tcp_address).await.map_err(instantiating)?;
        let http_listener = match &options.http_address {
            Some(address) => Some(Listener::bind(address).await.map_err(instantiating)?),
            None => None,
        };
        let (http_listener, http) = http_listener.unzip();
        let https_listener = match (&options.https_address, &terms.tls) {
            (Some(address), Some(tls)) => {
                let (listener, bound) = Listener::bind(address).await.map_err(instantiating)?;
                Some(((listener, tls.clone()), bound))
            }
            _ => None,
        };
        let (https_listener, https) = https_listener.unzip();
        let port = |bound: &Option<Bound>| bound.as_ref().and_then(|bound| bound.port);
        let ports = Ports { tcp: tcp.port, http: port(&http), https: port(&https) };
        options.complete(ports.tcp, ports.http);
        let http_client = HttpClient::new(options.http_client_connect_timeout, options.http_client_request_timeout);

        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = Arc::new(Workers::start(cores).context("cannot start worker threads").map_err(instantiating)?);
        tracing::info!("TCP: listening on {}", tcp.address);
        let accepting = tokio::spawn(tcp::accept(tcp_listener, terms, node.clone(), workers.clone()));
        let stop_serving = watch::Sender::new(false);
        let api = Arc::new(Api { node: node.clone(), options: watch::channel(options).0, log, ports, gate });
        node.lookups.begin(http_client);
        let registering = tokio::spawn(keep_registered(node.clone(), api.options.subscribe()));
        let statsd = StatsdOptions::of(&api.options.borrow());
        let reporting = statsd.map(|statsd| tokio::spawn(keep_reporting(node.clone(), statsd)));
        let stopped = || {
            let mut stopped = stop_serving.subscribe();
            async move {
                // An error means that the daemon is gone, which is the same order.
                _ = stopped.wait_for(|stop| *stop).await;
            }
        };
        let http_serving =
            http_listener.map(|listener| tokio::spawn(http::serve(listener, api.clone(), workers.clone(), stopped())));
        let https_serving = https_listener.map(|(listener, tls)| {
            tokio::spawn(http::serve_tls(listener, tls, api.clone(), workers.clone(), stopped()))
        });
        let serving = http_serving.into_iter().chain(https_serving).collect();
        let [http, https] = [http, https].map(|bound| bound.map(|bound| bound.address));
        let addresses = Addresses { tcp: tcp.address, http, https };
        Ok(Self {
            api,
            node,
            workers,
            accepting,
            registering,
            reporting,
            serving,
            stop_serving,
            addresses,
            storage,
            _lock: lock,
        })
    }

    /// Registers with these nsqlookupds, and no others. As `PUT /config/nsqlookupd_tcp_addresses`.
    pub fn register_with(&self, addresses: Vec<String>) {
        self.api.options.send_modify(|options| options.lookupd_tcp_addresses = addresses);
    }

    /// Ends it: no more clients, then everything that is only in memory to disk.
    pub async fn stop(self) -> Result<()> {
        self.accepting.abort();
        self.registering.abort();
        self.reporting.iter().for_each(JoinHandle::abort);
        self.node.close_clients();
        self.stop_serving.send_replace(true);
        for serving in self.serving {
            // It ended early only if it panicked, which was logged.
            _ = serving.await;
        }
        let persisted = self.node.persist_metadata().await;
        self.node.exit().await;
        // Connections see their end before the storage does.
        tokio::task::spawn_blocking(move || {
            drop(self.workers);
            drop(self.storage);
        })
        .await?;
        persisted.map_err(|error| anyhow!("failed to persist metadata - {error}"))?;
        if let Some(Unsaved { log, error }) = self.node.unsaved() {
            bail!("failed to save all messages that were in memory, of {log} and perhaps others - {error}");
        }
        tracing::info!("NSQ: stopped, everything is on disk");
        Ok(())
    }
}

/// What keeps nsqd from being one, as opposed to what is wrong with its metadata.
fn instantiating(error: impl Into<anyhow::Error>) -> anyhow::Error {
    error.into().context("failed to instantiate nsqd")
}

/// What clients may have, and must.
fn terms(options: &NsqdOptions) -> Result<Terms> {
    let tls = options.tls().map(|tls| tls.config()).transpose();
    let tls = tls.map_err(|error| anyhow!("failed to build TLS config - {error}"))?;
    // A file that cannot be read is a mistake even where nobody is asked.
    options.client_tls().config().map_err(|error| anyhow!("failed to build client TLS config - {error}"))?;
    let features = Features {
        tls_required: options.tls_required != TlsRequired::No,
        snappy: options.snappy,
        deflate: options.deflate,
        ..Features::default()
    };
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    Ok(Terms { features, tls, auth: AuthServers::of(options)? })
}

fn start_node(options: &NsqdOptions, data_path: &Path) -> Result<(Arc<Node>, StorageThread)> {
    let known: Arc<OnceLock<Weak<Node>>> = Arc::default();
    let complete = {
        let known = known.clone();
        move |completions| {
            if let Some(node) = known.get().and_then(Weak::upgrade) {
                node.complete(completions);
            }
        }
    };
    let store_options = StoreOptions {
        max_bytes_per_file: options.max_bytes_per_file,
        sync_every: options.sync_every,
        sync_timeout: options.sync_timeout,
    };
    let storage = StorageThread::start(data_path, store_options, complete)?;
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    let node = Node::new(core_config(options), storage.handle(), seed)?;
    _ = known.set(Arc::downgrade(&node));
    Ok((node, storage))
}

fn core_config(options: &NsqdOptions) -> Config {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let percentiles = &options.e2e_processing_latency_percentiles;
    Config {
        node_id: u16::try_from(options.id).unwrap_or(0),
        version: sansq_core::NSQ_VERSION.to_owned(),
        mem_queue_size: size(options.mem_queue_size),
        msg_timeout: options.msg_timeout,
        max_msg_timeout: options.max_msg_timeout,
        max_msg_size: size(options.max_msg_size),
        max_body_size: size(options.max_body_size),
        max_req_timeout: options.max_req_timeout,
        max_heartbeat_interval: options.max_heartbeat_interval,
        max_rdy_count: u32::try_from(options.max_rdy_count).unwrap_or(u32::MAX),
        max_output_buffer_size: size(options.max_output_buffer_size),
        output_buffer_timeout: options.output_buffer_timeout,
        min_output_buffer_timeout: options.min_output_buffer_timeout,
        max_output_buffer_timeout: options.max_output_buffer_timeout,
        max_channel_consumers: size(options.max_channel_consumers),
        max_deflate_level: options.max_deflate_level,
        magic_timeout: options.magic_timeout,
        publish_ack: match options.publish_ack {
            nsqd::PublishAck::Accepted => PublishAck::Accepted,
            nsqd::PublishAck::Written => PublishAck::Written,
            nsqd::PublishAck::Synced => PublishAck::Synced,
        },
        topology_region: options.topology_region.clone(),
        topology_zone: options.topology_zone.clone(),
        topology_aware_consumption: options.is_topology_aware(),
        e2e_processing_latency_percentiles: percentiles.0.iter().filter_map(|&p| Quantile::new(p)).collect(),
        e2e_processing_latency_window_time: options.e2e_processing_latency_window_time,
        tell_moves: false,
    }
}

/// The nsqd process. `args`: the words after its name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (options, log) = match nsqd::start(args) {
        Ok(started) => started,
        Err(code) => return code,
    };
    process::exit_code(process::run(async |mut stop| {
        let daemon = Daemon::start(options, log).await?;
        stop.received().await;
        daemon.stop().await
    }))
}
