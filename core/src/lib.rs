//! NSQ as state machines: the V2 protocol, topics and channels, the queue files. No I/O, no clock, no threads, no ambient
//! randomness: everything that waits is in a host, which hands the core bytes, times and completions and carries out
//! what it emits. The same code runs in the native daemon, in wasm and under the simulator.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod broker;
pub mod client;
pub mod cluster;
pub mod config;
pub mod driver;
pub mod latency;
pub mod lookup;
pub mod message;
pub mod metadata;
pub mod name;
pub mod protocol;
pub mod rng;
pub mod session;
pub mod sim;
pub mod storage;
pub mod time;
pub mod topic;
pub mod wire;

/// The NSQ version whose protocol, files and JSON we speak; clients and tools see it as ours.
pub const NSQ_VERSION: &str = "1.3.0";
