//! The pages: one shell for all of them, and the files it names. They are built in, or read from `--dev-static-dir` each time.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use serde::Serialize;

use super::acl;
use crate::config::{NSQ_VERSION, NsqadminOptions};
use crate::http::json;
use crate::http::respond::{Failure, Outcome, Reply};

/// These files of `pages/`, by name.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("pages/", $name)).as_slice()),)*]
    };
}

static FILES: &[(&str, &[u8])] = files![
    "actions.js",
    "api.js",
    "backlog.js",
    "base.css",
    "config.js",
    "consumers.js",
    "dialogs.css",
    "dialogs.js",
    "first.js",
    "format.js",
    "graphite.js",
    "header.js",
    "history.js",
    "icon.svg",
    "icons.js",
    "index.html",
    "inter.license.txt",
    "inter.woff2",
    "keys.js",
    "live.js",
    "losses.js",
    "main.js",
    "notices.js",
    "page-channel.js",
    "page-counter.js",
    "page-lookup.js",
    "page-node.js",
    "page-nodes.js",
    "page-topic.js",
    "page-topics.js",
    "panels.js",
    "parts.css",
    "peek.js",
    "preact.js",
    "router.js",
    "sparkline.js",
    "store.js",
    "table.js",
    "tables.css",
    "theme.js",
    "types.js",
    "vendor-htm-preact.js",
    "vendor-htm-preact.license.txt",
];

/// Scripts and styles are ours alone. Graphs of Graphite come from elsewhere. No other site frames the pages.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src * data:; frame-ancestors 'self'; base-uri 'none'; \
     form-action 'self'",
);
const CONTENT_SECURITY_POLICY: HeaderName = HeaderName::from_static("content-security-policy");

/// What the pages are told when they are loaded.
#[derive(Serialize)]
struct Config<'a> {
    version: &'static str,
    base_path: &'a str,
    is_admin: bool,
    user: Option<&'a str>,
    lookupd: &'a [String],
    nsqd: &'a [String],
    graph_enabled: bool,
    /// Empty if graphs are fetched through nsqadmin.
    graphite_url: &'a str,
    statsd_counter_format: &'a str,
    statsd_gauge_format: &'a str,
    /// Seconds.
    statsd_interval: u64,
    statsd_prefix: &'a str,
    live_interval_ms: u64,
}

/// Whether the directory that the files of pages are read from is there, if there is to be one.
pub(super) fn check(directory: &Path) -> anyhow::Result<()> {
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    let found = std::fs::read_dir(directory);
    found.map(drop).with_context(|| format!("--dev-static-dir {}", directory.display()))
}

/// A page: the shell, with what it needs to know. `headers`: the request's.
pub(super) async fn page(options: &NsqadminOptions, headers: &HeaderMap) -> Outcome {
    let config = Config {
        version: NSQ_VERSION,
        base_path: options.base(),
        is_admin: acl::is_admin(options, headers),
        user: acl::user(options, headers),
        lookupd: &options.lookupd_http_addresses,
        nsqd: &options.nsqd_http_addresses,
        graph_enabled: !options.graphite_url.is_empty(),
        graphite_url: if options.proxy_graphite { "" } else { &options.graphite_url },
        statsd_counter_format: &options.statsd_counter_format,
        statsd_gauge_format: &options.statsd_gauge_format,
        statsd_interval: options.statsd_interval.as_secs(),
        statsd_prefix: &options.statsd_prefix,
        live_interval_ms: u64::try_from(options.live_interval.as_millis()).unwrap_or(u64::MAX),
    };
    let config = json::encode(&config).map_err(|_| Failure::INTERNAL)?;
    let shell = find("index.html", &options.dev_static_dir).await.ok_or(Failure::NOT_FOUND)?;
    let shell = String::from_utf8_lossy(&shell);
    let shell = shell.replace("{{BASE}}", options.base()).replace("{{CONFIG}}", &String::from_utf8_lossy(&config));
    let mut answer = Reply::ready(StatusCode::OK, "text/html; charset=utf-8", shell);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    Ok(Reply::Ready(answer))
}

/// A file of the pages.
pub(super) async fn file(options: &NsqadminOptions, name: &str, headers: &HeaderMap) -> Outcome {
    let file = find(name, &options.dev_static_dir).await.ok_or(Failure::NOT_FOUND)?;
    let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(&file), file.len());
    let known = headers.get(IF_NONE_MATCH).is_some_and(|tags| {
        tags.to_str().is_ok_and(|tags| tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag))
    });
    let (status, body) = if known { (StatusCode::NOT_MODIFIED, Bytes::new()) } else { (StatusCode::OK, file) };
    let mut answer = Reply::ready(status, kind(name), body);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(Reply::Ready(answer))
}

/// The file called `name`.
async fn find(name: &str, directory: &Path) -> Option<Bytes> {
    if directory.as_os_str().is_empty() {
        let (_, file) = FILES.iter().find(|(own, _)| *own == name)?;
        return Some(Bytes::from_static(file));
    }
    let path = on_disk(name, directory)?;
    tokio::task::spawn_blocking(move || std::fs::read(path).ok()).await.ok()?.map(Bytes::from)
}

/// Where a file of that name would be; nowhere if the name leads out of the directory.
fn on_disk(name: &str, directory: &Path) -> Option<PathBuf> {
    let leads_out = name.starts_with('.') || name.contains(['/', '\\', '\0']);
    (!leads_out).then(|| directory.join(name))
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "map" | "json" => "application/json",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "eot" => "application/vnd.ms-fontobject",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_pages_is_built_in() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/pages");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut found: Vec<String> = std::fs::read_dir(pages).unwrap().map(name).collect();
        found.sort();
        let mut names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        names.sort();
        assert_eq!(names, found, "the table in assets.rs, and what is in pages/");
        for name in names {
            assert_ne!(kind(name), "application/octet-stream", "{name}");
        }
    }

    #[test]
    fn names_lead_nowhere_else() {
        let directory = Path::new("/pages");
        for name in ["..", "../x", "a/b", "a\\b", ".hidden", "a\0b"] {
            assert_eq!(on_disk(name, directory), None, "{name:?}");
        }
        assert_eq!(on_disk("a-b.js", directory).unwrap(), Path::new("/pages/a-b.js"));
    }
}
