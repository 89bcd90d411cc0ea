//! Stand-in.
use sansq_core::storage::*;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};

#[derive(Clone)]
pub struct StorageHandle {
    tx: mpsc::Sender<StorageOp>,
}
type Cb = Box<dyn Fn(Vec<StorageCompletion>) + Send>;
impl StorageHandle {
    pub fn start(cb: Cb) -> Self {
        let (tx, rx) = mpsc::channel::<StorageOp>();
        std::thread::spawn(move || {
            while let Ok(op) = rx.recv() {
                let result = match op.effect {
                    StorageEffect::Open => Ok(StorageReply::Opened { unread: 0 }),
                    StorageEffect::Append { .. } => Err(StorageError::Full),
                    _ => Ok(StorageReply::Done),
                };
                cb(vec![StorageCompletion { op: op.op, log: op.log, result }]);
            }
        });
        Self { tx }
    }
    pub fn submit(&self, op: StorageOp) {
        _ = self.tx.send(op);
    }
    pub fn read_metadata(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(None)
    }
    pub fn put_metadata(&self, _json: &[u8]) -> Result<(), StorageError> {
        Ok(())
    }
}
