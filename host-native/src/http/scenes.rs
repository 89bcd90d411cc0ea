//! Scenes of an HTTP connection: clients that pipeline requests, send bodies bit by bit or more of one than is wanted, and read
//! slowly.

use std::sync::Arc;
use std::time::Duration;

use sansq_core::config::Config;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, split};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::input::Input;
use super::linger::Lingering;
use super::*;
use crate::config::NsqdOptions;
use crate::scripted::{End, Stage, body, check, node};
use crate::streams::Stream;

const AT_ONCE: Duration = Duration::from_millis(100);
const WHOLE: Duration = Duration::from_secs(10);

/// Serves `stream` as one that was just accepted.
pub(crate) async fn serve(stream: impl Stream + 'static, service: Arc<impl Service>) {
    let peer = Peer { address: "a scene".to_owned(), secure: false, loopback: false };
    let (_running, ending) = watch::channel(false);
    // How it ended is its client's to judge.
    _ = connection::serve(Input::new(Lingering::new(stream)), &peer, &service, ending).await;
}

/// The status of the next answer, which is read to its end but for a body that comes in chunks.
pub(crate) async fn response(reader: &mut (impl AsyncBufRead + Unpin)) -> u16 {
    let (mut line, mut status, mut size) = (String::new(), 0, 0);
    loop {
        line.clear();
        reader.read_line(&mut line).await.unwrap();
        assert!(line.ends_with("\r\n"), "the head of an answer is cut off: {line:?}");
        match line.trim_end().split_once([' ', ':']) {
            None => break,
            Some(("HTTP/1.1", rest)) => status = rest[..3].parse().unwrap(),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => size = value.trim().parse().unwrap(),
            Some(_) => {}
        }
    }
    reader.read_exact(&mut vec![0; size]).await.unwrap();
    status
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Ping,
    Stats,
    Nothing,
    Publish(usize),
    /// In chunks of this size at most.
    Chunked(usize, usize),
    /// More than a message may have: the last request, and its answer.
    TooMuch(usize),
}

impl Ask {
    fn draw(stage: &mut Stage) -> Self {
        let size = stage.pick([1, 100, 5000, 50_000]);
        match stage.below(6) {
            0 => Self::Ping,
            1 => Self::Stats,
            2 => Self::Nothing,
            3 => Self::Chunked(stage.below(size) as usize, 1 + stage.below(size) as usize),
            _ => Self::Publish(stage.below(size) as usize),
        }
    }

    fn text(self, number: u32) -> Vec<u8> {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").into_bytes();
        let post = |header: String| format!("POST /pub?topic=t%23ephemeral HTTP/1.1\r\nHost: here\r\n{header}\r\n\r\n");
        match self {
            Self::Ping => get("/info"),
            Self::Stats => get("/stats?format=json"),
            Self::Nothing => get("/nothing"),
            Self::Publish(size) | Self::TooMuch(size) => {
                [post(format!("Content-Length: {}", size + 4)).into_bytes(), body(number, size)].concat()
            }
            Self::Chunked(size, chunk) => {
                let mut text = post("Transfer-Encoding: chunked".to_owned()).into_bytes();
                for chunk in body(number, size).chunks(chunk) {
                    text.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                    text.extend([chunk, b"\r\n"].concat());
                }
                text.extend(b"0\r\n\r\n");
                text
            }
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::Ping | Self::Stats | Self::Publish(_) | Self::Chunked(..) => 200,
            Self::Nothing => 404,
            Self::TooMuch(_) => 413,
        }
    }
}

fn scene(stage: &mut Stage) {
    let count = stage.below(10);
    let mut asks: Vec<_> = (0..count).map(|_| Ask::draw(stage)).collect();
    if stage.below(3) == 0 {
        // What an endpoint did not read is read and forgotten up to the size of a body; here there is more.
        asks.push(Ask::TooMuch(400_000));
    }
    // Requests without an answer, at most.
    let pipelined = stage.pick([1, 1, 3, 100]);
    stage.about(&(pipelined, &asks));
    let (options, ports) = (NsqdOptions::default(), Ports { tcp: None, http: None, https: None });
    let config = Config { max_msg_size: 60_000, max_body_size: 100_000, ..Config::default() };
    let (node, log) = (node(config), tests::log_handle());
    let gate = Gate::of(&options).unwrap();
    let api = Arc::new(Api { node, options: watch::Sender::new(options), log, ports, gate });
    let (ours, theirs) = stage.pair_that_holds();
    stage.task("the server", serve(ours, api));
    stage.task("a client", play(theirs, asks, pipelined));
}

async fn play(theirs: End, asks: Vec<Ask>, pipelined: usize) {
    let start = Instant::now();
    let (reader, mut writer) = split(theirs);
    let mut reader = BufReader::new(reader);
    let room = Semaphore::new(pipelined);
    let writing = async {
        for (number, ask) in asks.iter().enumerate() {
            room.acquire().await.unwrap().forget();
            // After an answer to too much the other side takes no more.
            let text = ask.text(number as u32);
            if writer.write_all(&text).await.is_err() || writer.flush().await.is_err() {
                assert!(matches!(ask, Ask::TooMuch(_)));
            }
        }
        room.acquire().await.unwrap().forget();
        _ = writer.shutdown().await;
    };
    let reading = async {
        for ask in &asks {
            assert_eq!(response(&mut reader).await, ask.status(), "{ask:?}");
            room.add_permits(1);
        }
        assert_eq!(reader.read(&mut [0; 10]).await.unwrap(), 0, "the end");
    };
    tokio::join!(writing, reading);
    assert!(start.elapsed() < AT_ONCE, "what needs no time took {:?}", start.elapsed());
}

#[test]
fn an_http_connection_sleeps_through_nothing() {
    check(1000, WHOLE, scene);
}
