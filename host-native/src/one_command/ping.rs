//! `sansq ping`: asks a daemon whether it is well, for health checks where there is no curl.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::connect::runtime;
use super::words::{Misuse, Words};
use super::{Failure, print, screen};
use crate::client::http::{HttpClient, check};

const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// As much of an answer is shown as says what is wrong.
const SHOWN_CHARS_MAX: usize = 200;

pub(super) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let words = Words::sort("ping", &[], args)?;
    if words.help {
        print(&screen::ping_help());
        return Ok(());
    }
    if let Some(second) = words.others.get(1) {
        return Err(Misuse::TooMany(second.to_string_lossy().into_owned()).into());
    }
    let address = words.others.first().map_or(screen::HTTP_ADDRESS.into(), |address| address.to_string_lossy());
    let url = url(&address);
    check(&url).map_err(|error| Misuse::BadValue {
        what: "an address",
        value: address.into_owned(),
        why: error.to_string(),
    })?;
    print(&format!("{}\n", runtime()?.block_on(ping(&url))?));
    Ok(())
}

/// Where `/ping` of `address` is, which is `HOST:PORT` or a URL.
fn url(address: &str) -> String {
    let scheme = if address.contains("://") { "" } else { "http://" };
    format!("{scheme}{}/ping", address.trim_end_matches('/'))
}

/// What the daemon says if it is well.
async fn ping(url: &str) -> Result<String> {
    let client = HttpClient::new(CONNECT_TIME_MAX, REQUEST_TIME_MAX);
    let answer = client.get(url, &[]).await.map_err(|error| anyhow!("no answer from {error}"))?;
    let text: String = String::from_utf8_lossy(&answer.body).trim().chars().take(SHOWN_CHARS_MAX).collect();
    if !answer.status.is_success() {
        bail!("{url} answers {}: {text}", answer.status);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn addresses_are_made_urls() {
        for (address, expected) in [
            ("127.0.0.1:4151", "http://127.0.0.1:4151/ping"),
            ("[::1]:4151", "http://[::1]:4151/ping"),
            ("https://queue1:4152/", "https://queue1:4152/ping"),
            ("admin:4171/nsq", "http://admin:4171/nsq/ping"),
        ] {
            assert_eq!(url(address), expected);
        }
    }
}
