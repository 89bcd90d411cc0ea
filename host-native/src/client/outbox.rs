//! What is to be written to a connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Writes what comes over a queue, in the order it comes, and flushes when there is nothing more for now. A future of it that
/// is dropped loses nothing: the next goes on where it was.
pub(super) struct Outbox {
    incoming: mpsc::UnboundedReceiver<Vec<u8>>,
    /// Taken from the queue; those before `next` are written, and of that one so many bytes.
    batch: Vec<Vec<u8>>,
    next: usize,
    written: usize,
    /// How long the other side may take nothing.
    patience: Duration,
}

impl Outbox {
    pub(super) fn new(incoming: mpsc::UnboundedReceiver<Vec<u8>>, patience: Duration) -> Self {
        Self { incoming, batch: Vec::new(), next: 0, written: 0, patience }
    }

    /// Writes until nothing more will come, and closes: why it ended, for people.
    pub(super) async fn write_all_there_is(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> String {
        loop {
            if let Err(reason) = self.finish(writer).await {
                return reason;
            }
            if self.incoming.recv_many(&mut self.batch, usize::MAX).await == 0 {
                // Nobody has any more use for the connection.
                drop(timeout(self.patience, writer.shutdown()).await);
                return "closed".to_owned();
            }
        }
    }

    /// Writes what was taken from the queue.
    pub(super) async fn finish(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), String> {
        if self.batch.is_empty() {
            return Ok(());
        }
        while let Some(bytes) = self.batch.get(self.next) {
            let rest = &bytes[self.written..];
            if rest.is_empty() {
                self.batch[self.next] = Vec::new();
                (self.next, self.written) = (self.next + 1, 0);
                continue;
            }
            self.written += in_time(self.patience, writer.write(rest)).await?;
        }
        in_time(self.patience, writer.flush()).await?;
        self.batch.clear();
        self.next = 0;
        Ok(())
    }
}

async fn in_time<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(patience, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("cannot write for {patience:?}")),
    }
}
