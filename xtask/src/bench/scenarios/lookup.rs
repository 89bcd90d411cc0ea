//! What nsqlookupd answers when a whole cluster has registered, how fast, and in how much memory. Each nsqd is a connection
//! of its own that says what a real one says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail, ensure};

use super::Bench;
use crate::bench::load;
use crate::bench::metric::{Metric, Outcome, Sample};

const MAGIC: &[u8] = b"  V1";
const TOPICS: usize = 100;
const CHANNELS: usize = 5;
const LOOKUPS: usize = 500;
const CHECK_EVERY: usize = 50;

/// Whose topics they are.
#[derive(Clone, Copy)]
pub(super) enum Names {
    /// Every nsqd has the same ones.
    Shared,
    /// No two nsqds have one in common.
    Own,
}

impl Names {
    fn topic(self, nsqd: usize, topic: usize) -> String {
        match self {
            Self::Shared => format!("orders.{topic:03}"),
            Self::Own => format!("orders.{nsqd:04}.{topic:03}"),
        }
    }

    fn channel(channel: usize) -> String {
        format!("archive-{channel}")
    }

    /// Bytes of all different names: of the topics, and of the channels of each.
    fn bytes(self, nsqds: usize) -> usize {
        let topics = match self {
            Self::Shared => TOPICS,
            Self::Own => nsqds * TOPICS,
        };
        topics * (self.topic(0, 0).len() + CHANNELS * Self::channel(0).len())
    }
}

/// Registers `nsqds`, then looks up topics one after the other on one connection.
pub(super) fn ask(bench: &Bench<'_>, nsqds: usize, names: Names) -> Outcome {
    let nsqds = bench.scaled(nsqds);
    let process = bench.node.process().context("a process")?;
    let mut asker = Asker::connect(bench.node.http.context("the address for HTTP")?)?;
    asker.lookup("nothing")?;
    bench.settle()?;
    let before = process.resident_bytes()?;
    let _registered: Vec<TcpStream> =
        (0..nsqds).map(|nsqd| register(bench.node.address, nsqd, names)).collect::<Result<_>>()?;
    bench.settle()?;
    let bytes = process.resident_bytes()?.saturating_sub(before + names.bytes(nsqds) as u64);
    // A registration is a topic of an nsqd, or a channel of it.
    let registrations = nsqds * TOPICS * (1 + CHANNELS);

    let producers = match names {
        Names::Shared => nsqds,
        Names::Own => 1,
    };
    let mut latencies = Vec::with_capacity(LOOKUPS);
    for number in 0..LOOKUPS {
        // Steps of a prime, so that neighbours are not looked up one after the other.
        let (nsqd, topic) = ((number * 67) % nsqds, (number * 37) % TOPICS);
        let begin = load::nanos();
        asker.lookup(&names.topic(nsqd, topic))?;
        latencies.push(load::nanos() - begin);
        // Looking through all of them would keep the processor from the daemon.
        if number % CHECK_EVERY == 0 {
            let found = asker.count(b"\"broadcast_address\"");
            ensure!(found == producers, "{found} producers of a topic of {producers}");
        }
    }
    Ok(Sample::default()
        .with_latencies(latencies)
        .with(Metric::MemoryPerRegistration, bytes as f64 / registrations as f64))
}

/// The connection of nsqd number `nsqd`, which has said who it is.
pub(super) fn identify(address: SocketAddr, nsqd: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    let info = serde_json::json!({
        "broadcast_address": format!("queue{nsqd}.example.com"),
        "hostname": format!("queue{nsqd}"),
        "tcp_port": 4150,
        "http_port": 4151,
        "version": "1.3.0",
    })
    .to_string();
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(b"IDENTIFY\n");
    out.extend_from_slice(&(info.len() as u32).to_be_bytes());
    out.extend_from_slice(info.as_bytes());
    stream.write_all(&out)?;
    // About the nsqlookupd.
    answer(&mut stream)?;
    Ok(stream)
}

/// The next answer.
pub(super) fn answer(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// The connection of an nsqd that has registered all it has.
fn register(address: SocketAddr, nsqd: usize, names: Names) -> Result<TcpStream> {
    let mut stream = identify(address, nsqd)?;
    let mut out = Vec::new();
    for topic in (0..TOPICS).map(|topic| names.topic(nsqd, topic)) {
        for channel in 0..CHANNELS {
            out.extend_from_slice(format!("REGISTER {topic} {}\n", Names::channel(channel)).as_bytes());
        }
    }
    stream.write_all(&out)?;
    for _ in 0..TOPICS * CHANNELS {
        let answer = answer(&mut stream)?;
        if answer != b"OK" {
            bail!("REGISTER was answered {}", String::from_utf8_lossy(&answer));
        }
    }
    Ok(stream)
}

/// An HTTP connection that is kept.
struct Asker {
    stream: TcpStream,
    buffer: Vec<u8>,
    answer: Vec<u8>,
}

impl Asker {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 1 << 18], answer: Vec::new() })
    }

    /// Asks who has `topic`, and takes all of the answer.
    fn lookup(&mut self, topic: &str) -> Result<()> {
        self.stream.write_all(format!("GET /lookup?topic={topic} HTTP/1.1\r\nHost: bench\r\n\r\n").as_bytes())?;
        self.answer.clear();
        while !is_whole(&self.answer)? {
            let bytes = self.stream.read(&mut self.buffer)?;
            ensure!(bytes > 0, "the daemon closed the connection");
            self.answer.extend_from_slice(&self.buffer[..bytes]);
        }
        Ok(())
    }

    /// How often `text` is in the answer.
    fn count(&self, text: &[u8]) -> usize {
        self.answer.windows(text.len()).filter(|window| *window == text).count()
    }
}

/// Whether all of an HTTP answer with a JSON body is there: as long as it says, or up to the empty chunk.
fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(head_bytes) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = std::str::from_utf8(&answer[..head_bytes])?.to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return Ok(answer.ends_with(b"\r\n0\r\n\r\n"));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("an answer without a length")?.trim().parse()?;
    Ok(answer.len() >= head_bytes + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        for whole in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        ] {
            assert!(is_whole(whole).unwrap());
            for bytes in 0..whole.len() {
                assert!(!is_whole(&whole[..bytes]).unwrap(), "{bytes}");
            }
        }
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
