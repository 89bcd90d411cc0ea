//! An nsqd without sockets and without a disk, for scenes.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use sansq_core::config::Config;
use sansq_core::storage::StoreOptions;
use tempfile::TempDir;

use super::stage::Stage;
use super::tls::acceptor;
use crate::node::{Client, Clock, Node};
use crate::storage::{StorageHandle, StorageThread};
use crate::streams::Stream;
use crate::tcp;

/// The storage of all scenes. Their topics are ephemeral and use none: what another thread does is in no order.
fn storage() -> StorageHandle {
    static STORAGE: LazyLock<Mutex<(StorageThread, TempDir)>> = LazyLock::new(|| {
        let directory = TempDir::new().expect("a directory");
        let thread = StorageThread::start(directory.path(), StoreOptions::default(), |_| {}).expect("a storage");
        Mutex::new((thread, directory))
    });
    STORAGE.lock().0.handle()
}

/// A node whose times are the scene's.
pub(crate) fn node(config: Config) -> Arc<Node> {
    Node::with_clock(config, storage(), 1, Clock::of_a_scene()).expect("a node")
}

/// A node that is connected to.
#[derive(Clone)]
pub(crate) struct Nsqd {
    pub(crate) node: Arc<Node>,
}

impl Nsqd {
    pub(crate) fn new() -> Self {
        Self { node: node(Config::default()) }
    }

    /// Serves `stream` in a task of the scene.
    pub(crate) fn serve(&self, stage: &mut Stage, stream: impl Stream + 'static) -> Arc<Client> {
        let (client, connection) = self.connection(stream);
        stage.task("nsqd's connection", connection);
        client
    }

    /// What serves `stream`.
    pub(crate) fn connection(
        &self,
        stream: impl Stream + 'static,
    ) -> (Arc<Client>, impl Future<Output = ()> + Send + 'static) {
        tcp::scenes::connection(&self.node, stream, Some(acceptor()))
    }
}
