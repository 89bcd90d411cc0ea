//! `/debug/*`. The reference serves profiles of the Go runtime under `/debug/pprof/`; here the same paths tell in plain
//! text what comes closest in a process without one: its threads, its memory, its tasks. Not for `go tool pprof`.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::StatusCode;

use super::Api;
use super::endpoints::DebugPage;
use super::process::{self, Thread};
use super::query::Query;
use super::respond::{Failure, Outcome, Reply};

/// How long `profile` watches unless it is told, and at most, in seconds.
const PROFILE_SECONDS: u64 = 30;
const PROFILE_SECONDS_MAX: u64 = 60;

const INDEX: &str = "\
/debug/pprof/

cmdline       the command line, arguments separated by NUL
profile       processor time of each thread during ?seconds=30
heap          memory as the kernel counts it, and what the node holds
goroutine     tasks, connections, topics and threads there are
block         how often each thread waited, and where it does now
threadcreate  the threads
symbol        no symbols: there is nothing to look up
";

/// `GET /debug/pprof/*`. `holdings` tells what the program has in memory, or is busy with: for
/// [`DebugPage::Heap`] and [`DebugPage::Goroutine`].
pub(crate) async fn page(
    page: DebugPage,
    query: Option<&str>,
    holdings: impl FnOnce(DebugPage) -> String + Send + 'static,
) -> Outcome {
    let runtime = tokio::runtime::Handle::current().metrics();
    let render: Box<dyn FnOnce() -> String + Send> = match page {
        DebugPage::Index => Box::new(|| INDEX.to_owned()),
        DebugPage::CommandLine => Box::new(command_line),
        DebugPage::Profile => {
            let (seconds, before) = watch(query).await?;
            Box::new(move || compare(&before, &process::threads(), seconds))
        }
        DebugPage::Heap => Box::new(move || format!("{}\nmemory\n{}", holdings(page), process::memory_report())),
        DebugPage::Goroutine => Box::new(move || {
            let tasks = runtime.num_alive_tasks();
            let threads = list(&process::threads());
            format!("{}tasks:    {tasks} on this connection's thread\n\n{threads}", holdings(page))
        }),
        DebugPage::Block => Box::new(|| waits(&process::threads())),
        DebugPage::ThreadCreate => Box::new(|| list(&process::threads())),
        DebugPage::Symbol => Box::new(|| "num_symbols: 0\n".to_owned()),
    };
    let text = tokio::task::spawn_blocking(render).await;
    text.map(|text| Reply::Text(text.into())).map_err(|_| Failure::INTERNAL)
}

/// What nsqd holds and is busy with.
pub(super) fn holdings(api: &Api, page: DebugPage) -> String {
    if page == DebugPage::Heap { heap(api) } else { tasks(api) }
}

fn command_line() -> String {
    let arguments: Vec<_> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    arguments.join("\0")
}

/// Waits for as long as a profile is to take; what the threads had used before.
async fn watch(query: Option<&str>) -> Result<(u64, Vec<Thread>), Failure> {
    let query = Query::of(query)?;
    let seconds = match query.get("seconds") {
        None => PROFILE_SECONDS,
        Some(raw) => std::str::from_utf8(raw)
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|seconds| (1..=PROFILE_SECONDS_MAX).contains(seconds))
            .ok_or(Failure::bad("seconds must be 1 to 60"))?,
    };
    let before = tokio::task::spawn_blocking(process::threads).await.map_err(|_| Failure::INTERNAL)?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok((seconds, before))
}

/// What each thread used between two looks, busiest first.
fn compare(before: &[Thread], after: &[Thread], seconds: u64) -> String {
    let used = |thread: &Thread| {
        let old = before.iter().find(|old| old.id == thread.id);
        let (user, system) = old.map_or((Duration::ZERO, Duration::ZERO), |old| (old.user, old.system));
        (thread.user.saturating_sub(user), thread.system.saturating_sub(system))
    };
    let mut rows: Vec<_> = after.iter().map(|thread| (used(thread), thread)).collect();
    rows.sort_by_key(|((user, system), _)| std::cmp::Reverse(*user + *system));
    let mut text = format!("processor time in {seconds}s\n    user  system  busy  thread\n");
    for ((user, system), thread) in rows {
        let busy = (user + system).as_millis() / (u128::from(seconds) * 10);
        let (user, system) = (user.as_millis(), system.as_millis());
        _ = writeln!(text, "{user:>6}ms{system:>6}ms{busy:>5}%  {} ({})", thread.name, thread.id);
    }
    text
}

fn heap(api: &Api) -> String {
    let topics = api.node.stats(None, None, false);
    let channels = || topics.iter().flat_map(|topic| &topic.channels);
    let in_topics: u64 = topics.iter().map(|topic| topic.depth.saturating_sub(topic.backend_depth)).sum();
    let in_channels: u64 = channels().map(|channel| channel.depth.saturating_sub(channel.backend_depth)).sum();
    let in_flight: u64 = channels().map(|channel| channel.in_flight_count).sum();
    let deferred: u64 = channels().map(|channel| channel.deferred_count).sum();
    format!(
        "messages in memory\n  topics:    {in_topics}\n  channels:  {in_channels}\n  in flight: {in_flight}\n  \
         deferred:  {deferred}\n"
    )
}

fn tasks(api: &Api) -> String {
    let topics = api.node.stats(None, None, false);
    let channels: usize = topics.iter().map(|topic| topic.channels.len()).sum();
    let clients = api.node.clients.all().len();
    format!("clients:  {clients}\ntopics:   {}\nchannels: {channels}\n", topics.len())
}

fn waits(threads: &[Thread]) -> String {
    let mut text = "     waits  preempted  state  thread\n".to_owned();
    for thread in threads {
        let Thread { id, name, state, waits, preemptions, wait_channel, .. } = thread;
        _ = writeln!(text, "{waits:>10} {preemptions:>10}  {state:<5}  {name} ({id}) {wait_channel}");
    }
    text
}

fn list(threads: &[Thread]) -> String {
    let mut text = format!("threads: {}\n    user  system  state  thread\n", threads.len());
    for Thread { id, name, state, user, system, .. } in threads {
        let (user, system) = (user.as_millis(), system.as_millis());
        _ = writeln!(text, "{user:>6}ms{system:>6}ms  {state:<5}  {name} ({id})");
    }
    text
}

/// `PUT /debug/setblockrate?rate=N`. There is no block profiler whose rate could be set.
pub(super) fn set_block_rate(query: Option<&str>) -> Outcome {
    let query = Query::parse(query).unwrap_or_default();
    let raw = String::from_utf8_lossy(query.get("rate").unwrap_or_default());
    match raw.parse::<i64>() {
        Ok(_) => Ok(Reply::Empty),
        Err(_) => Err(Failure {
            status: StatusCode::BAD_REQUEST,
            message: format!("invalid block rate : {raw:?} is not an integer").into(),
        }),
    }
}

/// `POST /debug/freememory`. Memory is freed with its last use, so there is nothing to wait for.
pub(super) fn free_memory() -> Outcome {
    Ok(Reply::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_an_integer() {
        assert!(set_block_rate(Some("rate=5")).is_ok());
        for bad in [None, Some(""), Some("rate"), Some("rate=x"), Some("rate=1.5")] {
            let failure = set_block_rate(bad).unwrap_err();
            assert_eq!(failure.status, StatusCode::BAD_REQUEST);
            assert!(failure.message.starts_with("invalid block rate : "), "{bad:?}");
        }
    }

    #[test]
    fn profiles_show_the_difference() {
        let thread = |id, user| Thread {
            id,
            name: format!("worker-{id}"),
            state: "S".into(),
            user: Duration::from_millis(user),
            system: Duration::ZERO,
            waits: 0,
            preemptions: 0,
            wait_channel: String::new(),
        };
        let text = compare(&[thread(1, 1000)], &[thread(1, 1100), thread(2, 500)], 1);
        let rows: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(rows, ["   500ms     0ms   50%  worker-2 (2)", "   100ms     0ms   10%  worker-1 (1)"]);
    }
}
