//! A web server that gives one answer to everything, or one to each path, and tells what it was asked.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result};

use crate::client::PATIENCE;

/// A request as it arrived.
#[derive(Debug)]
pub struct Asked {
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

/// The server. It ends with the test.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Receiver<Asked>,
}

impl Server {
    /// Starts it. `answer`: the status line behind `HTTP/1.1`, and the body.
    pub fn start(status: &'static str, answer: &'static str) -> Result<Server> {
        Server::start_with(status, move |_, _| answer.into())
    }

    /// The same with an answer for each target, which may need to know where the server listens.
    pub fn start_with(
        status: &'static str,
        answer: impl Fn(SocketAddr, &str) -> Cow<'static, str> + Send + 'static,
    ) -> Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // One that breaks off is of no interest.
                let _ = serve(stream, status, &answer, &sender);
            }
        });
        Ok(Server { address, asked })
    }

    /// The next request.
    pub fn next_asked(&self) -> Result<Asked> {
        self.asked.recv_timeout(PATIENCE).context("nobody asked")
    }
}

fn serve(
    stream: TcpStream,
    status: &str,
    answer: &impl Fn(SocketAddr, &str) -> Cow<'static, str>,
    sender: &Sender<Asked>,
) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let here = stream.local_addr()?;
    let answer = answer(here, head.split(' ').nth(1).unwrap_or_default());
    sender.send(Asked { head, body: String::from_utf8(body)? })?;
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{answer}", answer.len())?;
    Ok(())
}
