//! `cargo xtask demo`: serves the built page to this machine.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, anyhow, ensure};
use tiny_http::{Header, Method, Response, Server, StatusCode};

use super::{build_page, package};
use crate::setup::{self, root};

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to listen, on this machine
    #[arg(long, default_value_t = 4180)]
    port: u16,
}

/// Serves until it is interrupted. Builds what is missing.
pub(crate) fn run(args: &Args) -> Result<()> {
    let page = root().join("web-demo/dist");
    let server = Server::http(("127.0.0.1", args.port)).map_err(|error| {
        anyhow!("cannot listen on 127.0.0.1:{}: {error}; `--port` takes another, 0 any that is free", args.port)
    })?;
    ensure!(root().join("web-demo/package.json").exists(), "there is no page to serve: web-demo is not there");
    if !root().join("host-wasm/pkg/sansq.tgz").exists() {
        package::build(&setup::target_dir()?)?;
    }
    if !page.join("index.html").exists() {
        build_page()?;
    }
    println!("http://{}/", server.server_addr());
    for request in server.incoming_requests() {
        let response = answer(&page, request.method(), request.url());
        // A browser that has gone away misses nothing.
        _ = match response {
            Ok((file, kind)) => request.respond(Response::from_file(file).with_header(kind)),
            Err(status) => {
                request.respond(Response::from_string(status.default_reason_phrase()).with_status_code(status))
            }
        };
    }
    Ok(())
}

/// The file that a request asks for, and its kind.
fn answer(page: &Path, method: &Method, url: &str) -> Result<(File, Header), StatusCode> {
    if !matches!(method, Method::Get | Method::Head) {
        return Err(StatusCode(405));
    }
    let path = file_of(page, url).ok_or(StatusCode(404))?;
    let file = File::open(&path).map_err(|_| StatusCode(404))?;
    let kind = Header::from_bytes("Content-Type", content_type(&path)).map_err(|()| StatusCode(500))?;
    Ok((file, kind))
}

/// The path below `page` that a URL names; `None` for one that leads out of it. A directory means its index.
fn file_of(page: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?.trim_start_matches('/');
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let file = page.join(relative);
    Some(if file.is_dir() { file.join("index.html") } else { file })
}

/// Browsers compile wasm while it comes only if it says what it is, and take no script that does not.
fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map" | "webmanifest") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_page_is_served() {
        let page = tempfile::tempdir().unwrap();
        let page = page.path();
        assert_eq!(file_of(page, "/"), Some(page.join("index.html")));
        assert_eq!(file_of(page, "/assets/a.js?v=1#x"), Some(page.join("assets/a.js")));
        assert_eq!(file_of(page, "/../secret"), None);
        assert_eq!(file_of(page, "/a/../../secret"), None);
        assert_eq!(file_of(page, "//etc/passwd"), Some(page.join("etc/passwd")));
        assert_eq!(content_type(Path::new("x.wasm")), "application/wasm");
    }
}
