//! What `sansq pub` and `sansq tail` have in common: the client, and what to say when there is nobody to connect to.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::runtime::{Builder, Runtime};

use super::words::Misuse;
use super::{Failure, own_command, screen};
use crate::client::{Error, Options};
use crate::config::ListenAddress;
use crate::process::pass_over_signals;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// The flag that names the broker; the name is that of nsq_tail and to_nsq.
pub(super) const ADDRESS_FLAG: &str = "nsqd-tcp-address";

/// What the client runs on, with a thread of its own: it answers heartbeats while the user thinks.
pub(super) fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let entered = runtime.enter();
    pass_over_signals()?;
    drop(entered);
    Ok(runtime)
}

/// The client's options.
pub(super) fn options() -> Options {
    let mut options = Options::default();
    let client = options.client_mut();
    client.dial_timeout = CONNECT_TIME_MAX;
    client.user_agent = concat!("sansq/", env!("CARGO_PKG_VERSION")).to_owned();
    options
}

/// An address that makes no sense is told with its flag.
pub(super) fn check(address: &str) -> Result<(), Misuse> {
    let parsed = ListenAddress::parse(address);
    parsed.map(drop).map_err(|error| Misuse::BadValue {
        what: "--nsqd-tcp-address",
        value: address.to_owned(),
        why: error.to_string(),
    })
}

/// What went wrong, with what to do about it.
pub(super) fn explained(error: Error) -> Failure {
    match error {
        Error::Connect { address, reason } if reason.contains("HTTP") => {
            anyhow!("{address} answers in HTTP: it is the port for curl, the one for clients is 4150 as a rule")
        }
        Error::Connect { address, reason } if reason.contains("Auth Required") => anyhow!(
            "{address} wants a secret: to_nsq takes one with --producer-opt=auth_secret,SECRET, and nsq_tail with \
             --consumer-opt=auth_secret,SECRET"
        ),
        Error::Connect { address, reason } => nobody_there(&address, &reason),
        other => anyhow!("the broker says {other}"),
    }
    .into()
}

fn nobody_there(address: &str, reason: &str) -> anyhow::Error {
    let start = own_command();
    let elsewhere = if address == screen::TCP_ADDRESS {
        format!("or name the one you mean with --{ADDRESS_FLAG} HOST:PORT")
    } else {
        format!("which listens on {} unless told otherwise", screen::TCP_ADDRESS)
    };
    anyhow!("no broker answers at {address}: {reason}\nStart one in another terminal with `{start}`, {elsewhere}.")
}
