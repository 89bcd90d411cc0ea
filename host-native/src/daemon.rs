//! nsqd as a process: from options to a running daemon and, on a signal, to its end with everything on disk.

use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use anyhow::{Context, Result};
use sansq_core::config::Config;
use sansq_core::storage::StoreOptions;
use tokio::net::{TcpListener, UnixListener};

use crate::config::nsqd::PublishAck;
use crate::config::{ListenAddress, NsqdOptions, version_text};
use crate::node::Node;
use crate::storage::{DataPathLock, StorageThread};
use crate::tcp::{self, Listener};
use crate::workers::Workers;

/// A running nsqd.
pub struct Daemon {
    node: Arc<Node>,
    workers: Arc<Workers>,
    accepting: Vec<tokio::task::JoinHandle<()>>,
}

impl Daemon {
    /// Starts nsqd: storage, topics as they were, listeners.
    pub async fn start(options: NsqdOptions) -> Result<Self> {
        tracing::info!("{}", version_text("nsqd"));
        tracing::info!("ID: {}", options.id);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = Arc::new(Workers::start(cores).context("cannot start worker threads")?);
        let node_cell: Arc<OnceLock<Weak<Node>>> = Arc::default();
        let for_storage = node_cell.clone();
        let data_path = if options.data_path.as_os_str().is_empty() { Path::new(".") } else { &options.data_path };
        let lock = DataPathLock::take(data_path)?;
        let store_options = StoreOptions {
            max_bytes_per_file: options.max_bytes_per_file,
            sync_every: options.sync_every,
            sync_timeout: options.sync_timeout,
        };
        let storage = StorageThread::start(data_path, store_options, move |completions| {
            if let Some(node) = for_storage.get().and_then(Weak::upgrade) {
                node.complete(completions);
            }
        })?;
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        let node = Node::new(core_config(&options), storage.handle(), tokio::runtime::Handle::current(), seed);
        _ = node_cell.set(Arc::downgrade(&node));
        node.load_metadata().context("failed to load metadata")?;
        node.opened().await;
        tokio::spawn(node.clone().keep_metadata());
        let mut accepting = Vec::new();
        let tcp = listen(&options.tcp_address).await?;
        tracing::info!("TCP: listening on {}", tcp.1);
        accepting.push(tokio::spawn(tcp::accept(tcp.0, node.clone(), workers.clone())));
        Ok(Self { node, workers, accepting })
    }

    /// Ends it: no more clients, everything to disk.
    pub async fn stop(self) -> Result<()> {
        self.accepting.iter().for_each(tokio::task::JoinHandle::abort);
        self.node.exit().await;
        drop(self.workers);
        Ok(())
    }
}

async fn listen(address: &ListenAddress) -> Result<(Listener, String)> {
    match address {
        ListenAddress::Tcp { host, port } => {
            let host = if host.is_empty() { "0.0.0.0" } else { host };
            let listener =
                TcpListener::bind((host, *port)).await.with_context(|| format!("listen ({address}) failed"))?;
            let local = listener.local_addr()?.to_string();
            Ok((Listener::Tcp(listener), local))
        }
        ListenAddress::Unix(path) => {
            let listener = UnixListener::bind(path).with_context(|| format!("listen ({address}) failed"))?;
            Ok((Listener::Unix(listener), path.display().to_string()))
        }
    }
}

fn core_config(options: &NsqdOptions) -> Config {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Config {
        node_id: options.id.clamp(0, 1023) as u16,
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
            PublishAck::Accepted => sansq_core::config::PublishAck::Accepted,
            PublishAck::Written => sansq_core::config::PublishAck::Written,
            PublishAck::Synced => sansq_core::config::PublishAck::Synced,
        },
        topology_region: options.topology_region.clone(),
        topology_zone: options.topology_zone.clone(),
    }
}

/// The nsqd process.
pub fn main() -> std::process::ExitCode {
    let (options, _log) = match crate::config::nsqd::start() {
        Ok(started) => started,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            crate::fatal!("failed to instantiate nsqd - {error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(options)) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            crate::fatal!("failed to instantiate nsqd - {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(options: NsqdOptions) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let daemon = Daemon::start(options).await?;
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    daemon.stop().await
}
