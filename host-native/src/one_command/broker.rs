//! `sansq` without a command: nsqd, nsqlookupd and nsqadmin in one process, for somebody who has just met them. Other defaults,
//! and words instead of log lines; the daemons are [`crate::daemon`], [`crate::lookupd`] and [`crate::admin`], unchanged.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use super::discovery::Access;
use super::screen::Running;
use super::words::Misuse;
use super::{Failure, discovery, own_command, print, quoted, screen};
use crate::admin::Admin;
use crate::config::{ConfigError, ListenAddress, Loaded, NsqdOptions, NsqlookupdOptions, Outcome, load, nsqd};
use crate::daemon::Daemon;
use crate::log::{LogHandle, LogLevel};
use crate::lookupd::Lookupd;
use crate::process::{self, StopSignal};
use crate::storage::LockError;
use crate::tcp::ListenError;
use crate::terminal::{Paint, wants_colours};

pub(super) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let colours = wants_colours(&std::io::stdout());
    let mut loaded = match load::<NsqdOptions>(args, colours) {
        Ok(Outcome::Run(loaded)) => *loaded,
        Ok(Outcome::Print(text)) => {
            print(&text);
            return Ok(());
        }
        Err(ConfigError::Usage(error)) => return Err(Misuse::Nsqd(error.to_string()).into()),
        Err(error @ ConfigError::File(_)) => return Err(anyhow!("{error}").into()),
    };
    if let Some(word) = loaded.ignored.first() {
        return Err(Misuse::TooMany(word.clone()).into());
    }
    adapt(&mut loaded)?;
    let data_path = loaded.options.data_path.clone();
    let (options, log) = nsqd::begin(loaded).map_err(Failure::Said)?;
    let started = |running: &Running| print(&screen::running(running, &data_path, Paint(colours)));
    process::run(async |stop| serve(options, log, stop, started).await)
        .map_err(|error| explained(error, &data_path))?;
    print(&format!("\nStopped. Everything is on disk in {}\n", data_path.display()));
    Ok(())
}

/// Runs the daemons until `stop`. `started` is called once they listen.
async fn serve(
    options: NsqdOptions,
    log: LogHandle,
    mut stop: StopSignal,
    started: impl FnOnce(&Running),
) -> Result<()> {
    let (discovery, access) = (discovery::beside(&options), Access::of(&options));
    let daemon = Daemon::start(options, log.clone()).await?;
    let beside = match Beside::start(discovery, access, log).await {
        Ok(beside) => beside,
        Err(error) => {
            daemon.stop().await?;
            return Err(error);
        }
    };
    if let Some(lookupd) = &beside.lookupd {
        daemon.register_with(vec![screen::reachable(&lookupd.addresses.tcp)]);
    }
    started(&Running {
        nsqd: daemon.addresses.clone(),
        nsqlookupd: beside.lookupd.as_ref().map(|lookupd| lookupd.addresses.clone()),
        nsqadmin: beside.admin.as_ref().map(|admin| admin.address.clone()),
    });
    stop.received().await;
    daemon.stop().await?;
    beside.stop().await
}

/// What runs beside nsqd.
#[derive(Default)]
struct Beside {
    lookupd: Option<Lookupd>,
    /// Shows what the nsqlookupd knows.
    admin: Option<Admin>,
}

impl Beside {
    async fn start(options: Option<NsqlookupdOptions>, access: Access, log: LogHandle) -> Result<Self> {
        let Some(options) = options else { return Ok(Self::default()) };
        let lookupd = Lookupd::start(options.clone()).await?;
        let lookup = lookupd.addresses.http.as_deref().map(screen::reachable);
        let mut beside = Self { lookupd: Some(lookupd), admin: None };
        if let Some(options) = lookup.and_then(|lookup| discovery::shown(&options, lookup, access)) {
            match Admin::start(options, log).await {
                Ok(admin) => beside.admin = Some(admin),
                Err(error) => {
                    beside.stop().await?;
                    return Err(error);
                }
            }
        }
        Ok(beside)
    }

    async fn stop(self) -> Result<()> {
        if let Some(admin) = self.admin {
            admin.stop().await?;
        }
        match self.lookupd {
            Some(lookupd) => lookupd.stop().await,
            None => Ok(()),
        }
    }
}

/// Puts defaults for one person and one machine in the place of nsqd's, where nothing was asked for.
fn adapt(loaded: &mut Loaded<NsqdOptions>) -> Result<()> {
    let options = &mut loaded.options;
    let asked = |flag| options.sources.is_set(flag);
    let (tcp, http, https) = (asked("tcp-address"), asked("http-address"), asked("https-address"));
    let log_level = asked("log-level");
    if !tcp {
        options.tcp_address = ListenAddress::tcp("127.0.0.1", 4150);
    }
    if !http {
        options.http_address = Some(ListenAddress::tcp("127.0.0.1", 4151));
    }
    if !https {
        options.https_address = Some(ListenAddress::tcp("127.0.0.1", 4152));
    }
    if !log_level {
        options.log_level = LogLevel::Warn;
    }
    if !options.sources.is_set("broadcast-address")
        && let Some(host) = discovery::loopback(&options.tcp_address)
    {
        options.broadcast_address = host.to_owned();
    }
    if options.data_path.as_os_str().is_empty() {
        let var = |name| std::env::var_os(name).map(PathBuf::from);
        options.data_path = default_data_path(var("XDG_DATA_HOME"), var("HOME"))
            .context("there is no home directory to keep messages in; name a directory with --data-path")?;
    }
    let path = &options.data_path;
    std::fs::create_dir_all(path)
        .with_context(|| format!("cannot create {}; name another directory with --data-path", path.display()))
}

/// By the rules of the XDG base directories, where a relative path counts as none.
fn default_data_path(xdg_data_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    xdg_data_home
        .filter(absolute)
        .or_else(|| home.filter(absolute).map(|home| home.join(".local/share")))
        .map(|base| base.join("sansq"))
}

/// Why the broker does not run, with what to do about it.
fn explained(error: anyhow::Error, data_path: &Path) -> anyhow::Error {
    let own = own_command();
    if let Some(LockError::Held { .. }) = error.downcast_ref() {
        return anyhow!(
            "a broker is running already on the data in {}\n\
             Use that one, stop it, or start a second one beside it, on any free ports:\n  \
             {own} --tcp-address 127.0.0.1:0 --http-address 127.0.0.1:0 --data-path {}",
            data_path.display(),
            quoted(format!("{}-2", data_path.display()).as_ref()),
        );
    }
    if let Some(ListenError { address, error }) = error.downcast_ref() {
        let what = match error.kind() {
            ErrorKind::AddrInUse => "something listens there already, another broker perhaps".to_owned(),
            _ => error.to_string(),
        };
        return anyhow!(
            "cannot listen on {address}: {what}\n\
             Stop that one, or listen on any free ports:\n  \
             {own} --tcp-address 127.0.0.1:0 --http-address 127.0.0.1:0"
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_path_is_the_users() {
        let path = |xdg: Option<&str>, home: Option<&str>| {
            default_data_path(xdg.map(PathBuf::from), home.map(PathBuf::from)).map(|path| path.display().to_string())
        };
        assert_eq!(path(None, Some("/home/me")).as_deref(), Some("/home/me/.local/share/sansq"));
        assert_eq!(path(Some("/data"), Some("/home/me")).as_deref(), Some("/data/sansq"));
        assert_eq!(path(Some("data"), Some("/home/me")).as_deref(), Some("/home/me/.local/share/sansq"));
        assert_eq!(path(None, Some("")), None);
    }
}
