//! Scenes of pages that are live: watchers that read slowly, polls that come fast or not at all, a daemon that stops.

use std::time::Duration;

use hyper::Method;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, split};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::*;
use crate::http::respond::{Decoration, Outcome, Reply};
use crate::http::routing::{Route, route};
use crate::http::{Call, Service, scenes};
use crate::scripted::{End, Stage, check};

const AT_ONCE: Duration = Duration::from_millis(100);
const WHOLE: Duration = Duration::from_secs(40);

/// The one path that is live.
struct Pages {
    live: Arc<Live>,
    routes: [Route<()>; 1],
}

impl Service for Pages {
    type Endpoint = ();

    fn routes(&self) -> &[Route<()>] {
        &self.routes
    }

    fn discarded_bytes_max(&self) -> usize {
        0
    }

    async fn call(self: Arc<Self>, (): (), _: Call<'_>) -> Outcome {
        Ok(Reply::Ready(Reply::stream("text/event-stream", self.live.watch(View::Counter)?)))
    }
}

fn scene(stage: &mut Stage) {
    let polls = stage.below(6) as i64;
    let (stop, stopped) = watch::channel(false);
    let live = Live::new(Duration::from_secs(2), stopped, Handle::current());
    let (ours, theirs) = stage.pair_that_holds();
    let (seen, seeing) = watch::channel(0);
    let length = stage.pick([1, 1000, 30_000]);
    let (hurries, quiet) = (stage.below(3) > 0, stage.below(8) == 0);
    stage.about(&(polls, length, hurries, quiet));
    let routes = [route(Method::GET, "/live", (), Decoration::Raw)];
    stage.task("the server", scenes::serve(ours, Arc::new(Pages { live: live.clone(), routes })));
    stage.task("the poller", poll(live, polls, length, hurries, quiet, seeing, stop));
    stage.task("a page", play(theirs, polls, quiet, seen));
}

/// Finds something, again and again: the next when the last was seen, or sooner.
async fn poll(
    live: Arc<Live>,
    polls: i64,
    length: usize,
    hurries: bool,
    quiet: bool,
    mut seeing: watch::Receiver<i64>,
    stop: watch::Sender<bool>,
) {
    for at in 1..=polls {
        let failure = Failure { status: StatusCode::BAD_GATEWAY, message: "x".repeat(length).into() };
        live.last.send_replace(Some(Arc::new(State {
            at,
            message: String::new(),
            found: Err(failure),
            gone: Arc::default(),
        })));
        if hurries {
            tokio::task::yield_now().await;
        } else {
            seeing.wait_for(|seen| *seen >= at).await.unwrap();
        }
    }
    seeing.wait_for(|seen| *seen >= polls).await.unwrap();
    if quiet {
        sleep(2 * SILENCE_MAX + AT_ONCE).await;
    }
    stop.send_replace(true);
}

async fn play(theirs: End, polls: i64, quiet: bool, seen: watch::Sender<i64>) {
    let start = Instant::now();
    let (reader, mut writer) = split(theirs);
    let mut reader = BufReader::new(reader);
    writer.write_all(b"GET /live HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(scenes::response(&mut reader).await, 200);
    let (mut line, mut comments) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line).await.unwrap() == 0 {
            break;
        }
        comments += usize::from(line == ":\n");
        if let Some(event) = line.strip_prefix("data: ") {
            let event: serde_json::Value = serde_json::from_str(event).unwrap();
            let at = event["at"].as_i64().unwrap();
            if at == polls {
                assert!(start.elapsed() < AT_ONCE, "the last poll was seen after {:?}", start.elapsed());
            }
            seen.send_replace(at);
        }
    }
    let silence = if quiet { 2 * SILENCE_MAX + AT_ONCE } else { Duration::ZERO };
    assert!(start.elapsed() < silence + AT_ONCE, "the end came after {:?}", start.elapsed());
    assert_eq!(comments, if quiet { 2 } else { 0 });
    assert_eq!(reader.read(&mut [0; 10]).await.unwrap(), 0);
}

#[test]
fn a_live_page_sleeps_through_nothing() {
    check(1000, WHOLE, scene);
}
