//! Support for the whole-system tests: everything here talks to a daemon from outside, over its sockets,
//! its files and its exit status. Nothing depends on the crates under test, so the same code drives any
//! program that claims to be nsqd.
//!
//! - [`nsqd`]: which program is under test, and whether it is the reference.
//! - [`daemon`]: start it on free ports with a data directory of its own, stop it, kill it, start it again.
//! - [`lookupd`]: the same for nsqlookupd, and an nsqd's end of a connection to it.
//! - [`nsqadmin`]: the same for nsqadmin, its API, and a page that watches.
//! - [`web`]: a web server for those that call one.
//! - [`wire`]: the frames of the V2 protocol, and a connection that sends raw bytes.
//! - [`network`]: daemons and clients on two hosts that a wire joins, as far as TCP can tell.
//! - [`narrow`]: loopback connections that TCP cuts as it cuts those on a wire, for users who may not make a network.
//! - [`link`]: either of the two, whichever the machine allows.
//! - [`http`]: one HTTP request as bytes, one response as bytes.
//! - [`scenario`]: the plain-text scenarios under `conformance/` and the machine that runs them.
//! - [`client`]: publish, subscribe, drain: what load and fault tests do again and again.
//! - [`tool`]: the command-line tools as processes.
//! - [`process`]: what a running process costs.
//! - [`disk`]: disks that get full or read-only.
//! - [`bytes`]: how bytes are printed in failures.
//!
//! Waits are on conditions with a deadline, never on a guess of how long something takes.

pub mod bytes;
pub mod certificates;
mod child;
pub mod client;
pub mod daemon;
pub mod disk;
pub mod http;
pub mod link;
pub mod lookupd;
pub mod narrow;
pub mod network;
pub mod nsqadmin;
pub mod nsqd;
pub mod process;
pub mod scenario;
pub mod tool;
pub mod web;
pub mod wire;
