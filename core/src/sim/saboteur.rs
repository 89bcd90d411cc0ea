//! A broken broker for tests of the checks: something between a node and its surroundings that changes what passes. The
//! broker itself is never touched, so there are no flags for tests in it.

use std::fmt;

use crate::storage::StorageOp;

/// Changes what passes between a node and its surroundings. Each method leaves everything as it is unless written anew.
pub trait Saboteur: fmt::Debug {
    /// Commands reach a broker.
    fn on_input(&mut self, _bytes: &mut Vec<u8>) {}
    /// Frames leave a broker.
    fn on_output(&mut self, _bytes: &mut Vec<u8>) {}
    /// A broker wants something of its disk.
    fn on_operation(&mut self, _op: &mut StorageOp) {}
    /// A broker's deadline has come; whether it is told.
    fn lets_time_pass(&mut self) -> bool {
        true
    }
    /// A copy, for snapshots and forks.
    fn clone_box(&self) -> Box<dyn Saboteur>;
}

impl Clone for Box<dyn Saboteur> {
    fn clone(&self) -> Self {
        self.clone_box()
    }
}
