//! The NSQ daemons and tools on the sansq core.

pub mod admin;
mod auth;
pub mod client;
pub mod config;
pub mod daemon;
pub mod http;
pub mod limits;
pub mod log;
pub mod lookupd;
pub mod node;
pub mod one_command;
pub mod process;
pub mod programs;
mod registration;
#[cfg(test)]
mod scripted;
mod statsd;
pub mod storage;
mod streams;
pub mod tcp;
pub mod terminal;
pub mod tls;
pub mod tools;
pub mod workers;
