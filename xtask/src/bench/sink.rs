//! A stand-in for a daemon that does next to nothing, to measure the load generator: publishes are skipped and answered, a
//! subscriber gets the same messages over and over, as many at once as its RDY allows. It queues nothing, checks nothing and
//! trusts its client completely.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

use super::load::BODY_BYTES;
use super::wire;

/// The scenarios it can stand in for: those that only count.
pub(super) const CAN_RUN: &[&str] = &["mpub", "consume", "pub-pipelined", "pub-one-at-a-time"];

const OK: &[u8] = b"\0\0\0\x06\0\0\0\0OK";
const CLOSE_WAIT: &[u8] = b"\0\0\0\x0e\0\0\0\0CLOSE_WAIT";
const FRAME_BYTES: usize = 8 + 26 + BODY_BYTES;
/// A line longer than any command here.
const LINE_BYTES_MAX: usize = 256;

/// Starts it at `host`; it ends with this program.
pub(super) fn start(host: Ipv4Addr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((host, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                if let Err(error) = Client::new(stream).and_then(Client::serve) {
                    eprintln!("sink: {error:#}");
                }
            });
        }
    });
    Ok(address)
}

struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    /// Bytes of a body that have not come yet.
    to_skip: usize,
    out: Vec<u8>,
    messages: Vec<u8>,
    ready: usize,
    in_flight: usize,
}

impl Client {
    fn new(mut stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        let mut magic = [0; wire::MAGIC.len()];
        stream.read_exact(&mut magic)?;
        Ok(Self {
            stream,
            input: vec![0; 1 << 18],
            filled: 0,
            to_skip: 0,
            out: Vec::new(),
            messages: Vec::new(),
            ready: 0,
            in_flight: 0,
        })
    }

    fn serve(mut self) -> Result<()> {
        loop {
            let bytes = match self.stream.read(&mut self.input[self.filled..]) {
                // A subscriber that has seen enough leaves while messages are on their way to it.
                Ok(0) | Err(_) => return Ok(()),
                Ok(bytes) => bytes,
            };
            self.filled += bytes;
            self.take_commands()?;
            self.stream.write_all(&self.out)?;
            self.out.clear();
            if self.ready > self.in_flight {
                let room = self.ready - self.in_flight;
                self.stream.write_all(&self.messages[..room * FRAME_BYTES])?;
                self.in_flight += room;
            }
        }
    }

    fn take_commands(&mut self) -> Result<()> {
        let mut start = 0;
        loop {
            let skipped = self.to_skip.min(self.filled - start);
            self.to_skip -= skipped;
            start += skipped;
            let rest = &self.input[start..self.filled];
            let Some(end) = rest.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') else { break };
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            let has_body = !matches!(line.first(), Some(b'F' | b'S' | b'R' | b'C'));
            let body_bytes = match after.first_chunk() {
                _ if !has_body => 0,
                Some(size) => 4 + u32::from_be_bytes(*size) as usize,
                None => break,
            };
            match line.split_first_chunk() {
                Some((b"FIN", _)) => self.in_flight -= 1,
                Some((b"CLS", _)) => {
                    self.out.extend_from_slice(CLOSE_WAIT);
                    self.ready = 0;
                }
                Some((b"RDY", count)) => {
                    self.ready = std::str::from_utf8(count)?.trim().parse().context("RDY")?;
                    self.messages = message().repeat(self.ready);
                }
                _ => self.out.extend_from_slice(OK),
            }
            start += end + 1;
            self.to_skip = body_bytes;
        }
        self.input.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(())
    }
}

fn message() -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_BYTES);
    frame.extend_from_slice(&((FRAME_BYTES - 4) as u32).to_be_bytes());
    frame.extend_from_slice(&2_u32.to_be_bytes());
    frame.extend_from_slice(&[0; 9]);
    frame.push(1);
    frame.extend_from_slice(b"0123456789abcdef");
    frame.extend_from_slice(&[b'x'; BODY_BYTES]);
    frame
}
