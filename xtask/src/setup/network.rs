//! The network that tests and benchmarks run over: two hosts as far as TCP can tell, on one machine. `sansq_tests::network`
//! makes it; here is what a machine needs for that, and how a command gets onto it.

use std::process::Command;

use anyhow::{Context, Result};
use sansq_tests::network::{DAEMONS, Network};

use super::{Install, Missing, Tool, is_ci};

/// Makes namespaces and the wire between them.
const IP: Tool = Tool { name: "ip (iproute2)", probe: &["ip", "-V"], install: Install::Apt(&["iproute2"]) };

/// Takes from the wire what would hide segments.
const ETHTOOL: Tool = Tool { name: "ethtool", probe: &["ethtool", "--version"], install: Install::Apt(&["ethtool"]) };

/// Installs what a network needs, where the machine is ours. Elsewhere nothing happens: who makes the network says what is
/// missing.
pub(crate) fn ensure_tools() -> Result<()> {
    if is_ci() {
        IP.ensure()?;
        ETHTOOL.ensure()?;
    }
    Ok(())
}

/// Makes a network. Where this user may not have one it is [`Missing`], except in CI.
pub(crate) fn make() -> Result<Network> {
    ensure_tools()?;
    match Network::make() {
        Err(why) if !is_ci() => Err(Missing(format!("{why:#}")).into()),
        made => made.context("no network"),
    }
}

/// Gives a suite of client tests, which starts `nsqd` by itself, a network: nsqd will be on one host, and the suite has to be
/// started by [`Network::among_clients`].
pub(crate) fn tell(suite: &mut Command, network: &Network, nsqd: &str) {
    suite
        .env("SANSQ_NSQD", format!("{} {nsqd}", network.among_daemons().join(" ")))
        .env("SANSQ_HOST", DAEMONS.to_string());
}
