//! Requests over loopback, against a node with storage: what only shows when sockets, hyper and endpoints work together.
//! That each endpoint answers as the reference does is the conformance suite's to check.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use sansq_core::config::Config;
use sansq_core::name::TopicName;
use sansq_core::storage::StoreOptions;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::gate::Gate;
use super::{Api, Ports, serve};
use crate::config::NsqdOptions;
use crate::config::nsqd::TlsRequired;
use crate::log::{self, LogFormat, LogHandle, LogLevel};
use crate::node::Node;
use crate::storage::StorageThread;
use crate::tcp::Listener;
use crate::workers::Workers;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn log_handle() -> LogHandle {
    static HANDLE: OnceLock<LogHandle> = OnceLock::new();
    HANDLE.get_or_init(|| log::init("", LogLevel::Fatal, LogFormat::Text).unwrap()).clone()
}

/// A node that listens on HTTP.
struct Server {
    api: Arc<Api>,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    _storage: StorageThread,
    data_path: TempDir,
}

impl Server {
    async fn start(options: NsqdOptions) -> Self {
        let cell: Arc<OnceLock<Weak<Node>>> = Arc::default();
        let for_storage = cell.clone();
        let complete = move |completions| {
            if let Some(node) = for_storage.get().and_then(Weak::upgrade) {
                node.complete(completions);
            }
        };
        let data_path = TempDir::new().unwrap();
        let storage = StorageThread::start(data_path.path(), StoreOptions::default(), complete).unwrap();
        let config = Config {
            max_msg_size: 1000,
            max_body_size: 2000,
            mem_queue_size: usize::try_from(options.mem_queue_size).unwrap(),
            ..Config::default()
        };
        let node = Node::new(config, storage.handle(), 1).unwrap();
        cell.set(Arc::downgrade(&node)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ports = Ports { tcp: None, http: Some(address.port()), https: None };
        let gate = Gate::of(&options).unwrap();
        let api = Arc::new(Api { node, options: watch::Sender::new(options), log: log_handle(), ports, gate });
        let (stop, stopped) = oneshot::channel();
        let workers = Arc::new(Workers::start(1).unwrap());
        let serving = serve(Listener::Tcp(listener), api.clone(), workers, async { _ = stopped.await });
        Self { api, address, stop, task: tokio::spawn(serving), _storage: storage, data_path }
    }

    async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends `request` on a connection of its own.
    async fn ask(&self, request: &str) -> String {
        let mut connection = self.connect().await;
        connection.send(request.as_bytes()).await;
        connection.response().await
    }
}

struct Connection(TcpStream);

impl Connection {
    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// One response, without its date. A body is as long as it says.
    async fn response(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::time::timeout(PATIENCE, self.0.read_u8()).await.unwrap().unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        tokio::time::timeout(PATIENCE, self.0.read_exact(&mut body)).await.unwrap().unwrap();
        let lines: Vec<_> = head.trim_end().lines().filter(|line| !line.starts_with("Date: ")).collect();
        format!("{}\n\n{}", lines.join("\n"), String::from_utf8(body).unwrap())
    }

    /// What still comes until the server closes.
    async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end, too.
        _ = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.unwrap();
        String::from_utf8(rest).unwrap()
    }
}

fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[tokio::test]
async fn connections_are_kept_and_pipelines_answered_in_order() {
    let server = Server::start(NsqdOptions::default()).await;
    let mut connection = server.connect().await;
    let requests = [post("/pub?topic=t", "hello"), get("/ping"), post("/topic/create?topic=u", ""), get("/nope")];
    connection.send(requests.concat().as_bytes()).await;
    let nsq = "X-Nsq-Content-Type: nsq; version=1.0";
    let text = "Content-Type: text/plain; charset=utf-8";
    let expected = [
        format!("HTTP/1.1 200 OK\n{text}\n{nsq}\nContent-Length: 2\n\nOK"),
        format!("HTTP/1.1 200 OK\n{text}\nContent-Length: 2\n\nOK"),
        format!("HTTP/1.1 200 OK\n{nsq}\nContent-Length: 0\n\n"),
    ];
    for expected in expected {
        assert_eq!(connection.response().await, expected);
    }
    assert!(connection.response().await.ends_with("\n\n{\"message\":\"NOT_FOUND\"}"));
    let topics = server.api.node.stats(None, None, false);
    assert_eq!(topics.iter().map(|topic| (topic.name.as_str(), topic.depth)).collect::<Vec<_>>(), [("t", 1), ("u", 0)]);
}

#[tokio::test]
async fn a_body_too_large_is_refused_and_the_answer_read() {
    let server = Server::start(NsqdOptions::default()).await;
    let mut connection = server.connect().await;
    connection.send(post("/pub?topic=t", &"x".repeat(1001)).as_bytes()).await;
    let refused = connection.response().await;
    assert!(refused.starts_with("HTTP/1.1 413 ") && refused.ends_with("{\"message\":\"MSG_TOO_BIG\"}"), "{refused}");
    // What was sent for nothing is out of the way of the next request.
    connection.send(post("/pub?topic=t", &"x".repeat(1000)).as_bytes()).await;
    assert!(connection.response().await.ends_with("\n\nOK"));
    // There is an end to that.
    connection.send(post("/pub?topic=t", &"x".repeat(100_000)).as_bytes()).await;
    let refused = connection.response().await;
    assert!(refused.contains("\nConnection: close\n"), "{refused}");
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn a_client_that_asks_first_need_not_send() {
    let server = Server::start(NsqdOptions::default()).await;
    let head = "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ";
    let refused = server.ask(&format!("{head}1001\r\n\r\n")).await;
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    let mut connection = server.connect().await;
    connection.send(format!("{head}2\r\n\r\n").as_bytes()).await;
    assert_eq!(connection.response().await, "HTTP/1.1 100 Continue\n\n");
    connection.send(b"hi").await;
    assert!(connection.response().await.ends_with("\n\nOK"));
}

#[tokio::test]
async fn chunks_are_bounded_too() {
    let server = Server::start(NsqdOptions::default()).await;
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    for (target, message) in [
        ("/pub?topic=t", "MSG_TOO_BIG"),
        ("/mpub?topic=t", "BODY_TOO_BIG"),
        ("/mpub?topic=t&binary=true", "BODY_TOO_BIG"),
    ] {
        let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        let refused = server.ask(&format!("{head}{}0\r\n\r\n", chunk.repeat(3))).await;
        assert!(refused.ends_with(&format!("{{\"message\":\"{message}\"}}")), "{refused}");
    }
    // An endless body on an endpoint that wants none.
    let head = "POST /topic/create?topic=u HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let created = server.ask(&format!("{head}{}", chunk.repeat(20))).await;
    assert!(created.starts_with("HTTP/1.1 200 OK\n") && created.contains("\nConnection: close\n"), "{created}");
    assert_eq!(server.api.node.stats(None, None, false).iter().map(|topic| topic.message_count).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_client_may_close_its_side_early() {
    let server = Server::start(NsqdOptions::default()).await;
    let mut connection = server.connect().await;
    connection.send(get("/ping").as_bytes()).await;
    connection.0.shutdown().await.unwrap();
    assert!(connection.rest().await.ends_with("\r\n\r\nOK"));
}

#[tokio::test]
async fn what_is_announced_to_be_too_long_is_not_waited_for() {
    let server = Server::start(NsqdOptions::default()).await;
    for (request, status) in [
        ("POST /pub?topic=t", 413),
        ("POST /mpub?topic=t", 413),
        ("PUT /config/log_level", 413),
        ("POST /topic/create?topic=u", 200),
        ("GET /nope", 404),
    ] {
        let started = std::time::Instant::now();
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n");
        let answer = server.ask(&head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\nConnection: close\n"), "{answer}");
        // Less than a body that is read for nothing is given.
        assert!(started.elapsed() < Duration::from_secs(4), "{request}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_head_that_is_none_is_answered_and_ends_the_connection() {
    let server = Server::start(NsqdOptions::default()).await;
    for (head, answer) in [
        ("GET /ping HTTP/1.1\r\n\r\n", "400 Bad Request: missing required Host header"),
        ("GET /ping HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 Bad Request"),
        ("GET /ping HTTP/1.1\r\nHost: a b\r\n\r\n", "400 Bad Request: malformed Host header"),
        ("GET ping HTTP/1.1\r\nHost: localhost\r\n\r\n", "400 Bad Request"),
    ] {
        let mut connection = server.connect().await;
        connection.send(format!("{head}{}", get("/ping")).as_bytes()).await;
        let refused = connection.rest().await;
        let expected = format!("Content-Length: {}\r\n", answer.len());
        assert!(refused.starts_with("HTTP/1.1 400 Bad Request\r\n") && refused.contains(&expected), "{refused}");
        assert!(refused.ends_with(&format!("\r\n\r\n{answer}")), "{refused}");
    }
    assert!(server.ask("GET /ping HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200 OK\n"));
}

#[tokio::test]
async fn a_head_is_bounded() {
    let server = Server::start(NsqdOptions::default()).await;
    let mut connection = server.connect().await;
    let head = format!("GET /ping HTTP/1.1\r\nX: {}", "x".repeat(100_000));
    // The server may close before all of it is sent.
    _ = connection.0.write_all(head.as_bytes()).await;
    assert!(connection.rest().await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn plain_http_is_closed_where_tls_is_required() {
    let server = Server::start(NsqdOptions { tls_required: TlsRequired::Yes, ..NsqdOptions::default() }).await;
    let refused = server.ask(&post("/nope", "x")).await;
    assert!(refused.starts_with("HTTP/1.1 403 Forbidden\n"), "{refused}");
    assert!(refused.ends_with("\n\n{\"message\": \"TLS_REQUIRED\", \"https_port\": 0}"), "{refused}");
}

#[tokio::test]
async fn options_are_shown_and_put() {
    let server = Server::start(NsqdOptions::default()).await;
    let mut watcher = server.api.options.subscribe();
    let put = |option, value: &str| post(&format!("/config/{option}"), value).replacen("POST", "PUT", 1);
    for (option, value, answer) in [
        ("log_level", "ERROR", "4"),
        ("nsqlookupd_tcp_addresses", "[\"a:1\"]", "[\"a:1\"]"),
        ("nsqlookupd_tcp_addresses", " null\n", "null"),
        ("log_level", "fatal", "5"),
    ] {
        assert!(server.ask(&put(option, value)).await.ends_with(&format!("\n\n{answer}")), "{option}={value}");
        assert!(watcher.has_changed().unwrap());
        watcher.mark_unchanged();
    }
    assert_eq!(server.api.log.level(), LogLevel::Fatal);
    assert!(server.ask(&put("log_level", "loud")).await.ends_with("{\"message\":\"INVALID_VALUE\"}"));
    assert!(!watcher.has_changed().unwrap());
    let text = server.ask(&get("/config/log_prefix")).await;
    assert!(text.contains("Content-Type: text/plain; charset=utf-8") && text.ends_with("\n\n[nsqd] "), "{text}");
    let json = server.ask(&get("/config/msg_timeout")).await;
    assert!(json.contains("Content-Type: application/json") && json.ends_with("\n\n60000000000"), "{json}");
}

#[tokio::test]
async fn a_deferred_message_waits() {
    let server = Server::start(NsqdOptions::default()).await;
    for request in [post("/topic/create?topic=t", ""), post("/channel/create?topic=t&channel=c", "")] {
        assert!(server.ask(&request).await.starts_with("HTTP/1.1 200 OK\n"));
    }
    assert!(server.ask(&post("/pub?topic=t&defer=1000000", "later")).await.ends_with("\n\nOK"));
    let metrics = server.ask(&get("/metrics")).await;
    for line in [
        "nsq_channel_deferred{topic=\"t\",channel=\"c\"} 1\n",
        "nsq_topic_messages_total{topic=\"t\"} 1\n",
        "nsq_healthy 1\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let topic = TopicName::parse("none").unwrap();
    assert!(server.ask(&post("/pub?topic=none&defer=-1", "x")).await.ends_with("{\"message\":\"INVALID_DEFER\"}"));
    assert!(server.api.node.topic(&topic).is_none());
}

#[tokio::test]
async fn a_disk_that_fails_is_told() {
    let server = Server::start(NsqdOptions { mem_queue_size: 0, ..NsqdOptions::default() }).await;
    assert!(server.ask(&get("/ping")).await.ends_with("\n\nOK"));
    assert!(server.ask(&post("/pub?topic=t", "x")).await.ends_with("\n\nOK"));
    std::fs::remove_dir_all(server.data_path.path()).unwrap();
    for request in [post("/pub?topic=u", "x"), post("/mpub?topic=u", "x\ny")] {
        let refused = server.ask(&request).await;
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.ends_with("{\"message\":\"DISK_ERROR\"}"), "{refused}");
    }
    let sick = server.ask(&get("/ping")).await;
    assert!(sick.starts_with("HTTP/1.1 500 ") && sick.contains("\n\nNOK - "), "{sick}");
    assert!(server.ask(&get("/stats?format=json")).await.contains(",\"health\":\"NOK - "));
    server.api.node.exit().await;
    assert!(server.ask(&post("/pub?topic=t", "x")).await.ends_with("{\"message\":\"EXITING\"}"));
}

#[tokio::test]
async fn pages_about_the_process_say_something() {
    let server = Server::start(NsqdOptions::default()).await;
    for (page, word) in [
        ("", "threadcreate"),
        ("cmdline", "sansq"),
        ("heap", "in flight: 0"),
        ("goroutine", "topics:   0"),
        ("block", "worker-0"),
        ("threadcreate", "worker-0"),
        ("symbol", "num_symbols: 0"),
    ] {
        let answer = server.ask(&get(&format!("/debug/pprof/{page}"))).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\n") && answer.contains(word), "{answer}");
    }
    let refused = server.ask(&get("/debug/pprof/profile?seconds=0")).await;
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_the_listener() {
    let server = Server::start(NsqdOptions::default()).await;
    let mut idle = server.connect().await;
    idle.send(get("/ping").as_bytes()).await;
    idle.response().await;
    server.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert_eq!(idle.rest().await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
}
