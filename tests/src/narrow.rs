//! TCP connections over loopback that behave as on a wire: segments as short as Ethernet's, buffers that fill.
//!
//! Bare loopback has segments of 64 KiB and buffers that take megabytes at once, so a daemon hardly ever sees a write that
//! is cut short. The options here make it see them, and ask for no privilege. They have to be set before the socket connects:
//! the segment size is negotiated in the handshake, and so is the window.
//!
//! [`Relay`] does it for programs whose sockets are not ours.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::wire::{Connection, MAGIC};

/// The options of a narrow socket.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    /// The longest segment either end sends, bytes.
    pub segment_bytes: u32,
    /// `SO_RCVBUF`; the system's own choice without it.
    pub receive_bytes: Option<usize>,
    /// `SO_SNDBUF`; the system's own choice without it.
    pub send_bytes: Option<usize>,
}

/// Ethernet's segments, with timestamps in the TCP header. Buffers as the system makes them.
pub const ETHERNET: Narrow = Narrow { segment_bytes: 1448, receive_bytes: None, send_bytes: None };

/// Ethernet's segments, and a client that was built with small buffers.
pub const SMALL: Narrow = Narrow { receive_bytes: Some(4096), send_bytes: Some(4096), ..ETHERNET };

impl Narrow {
    /// Connects with these options.
    pub fn connect(self, address: SocketAddr) -> Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_tcp_mss(self.segment_bytes).context("cannot set TCP_MAXSEG")?;
        if let Some(bytes) = self.receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.send_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        socket.connect(&address.into()).with_context(|| format!("cannot connect to {address}"))?;
        Ok(socket.into())
    }

    /// Connects and sends the magic.
    pub fn open_v2(self, address: SocketAddr) -> Result<Connection> {
        let mut connection = Connection::on(self.connect(address)?)?;
        connection.send(MAGIC);
        Ok(connection)
    }
}

/// Listens on loopback and passes what comes to a daemon on narrow connections, and back. It goes on until the test's process
/// ends.
#[derive(Debug)]
pub struct Relay {
    /// Where programs are to connect.
    pub address: SocketAddr,
}

impl Relay {
    /// A relay to `daemon`.
    pub fn to(daemon: SocketAddr, narrow: Narrow) -> Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A daemon that is gone closes the client's connection, as it would without a relay.
                if let Ok(server) = narrow.connect(daemon) {
                    join(&client, &server);
                }
            }
        });
        Ok(Relay { address })
    }
}

/// Passes bytes both ways until both ends have finished.
fn join(client: &TcpStream, server: &TcpStream) {
    for (from, to) in [(client, server), (server, client)] {
        let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
        let _ = to.set_nodelay(true);
        thread::spawn(move || {
            // Not `io::copy`: between sockets that is splice(2), which passes 64 KiB through a pipe where a client reads little.
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
mod tests {
    use super::*;

    #[test]
    fn segments_are_as_short_as_asked_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = ETHERNET.connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        for stream in [stream, accepted] {
            // What the other end announced, less the timestamps in each header.
            let segment_bytes = socket2::SockRef::from(&stream).tcp_mss().unwrap();
            assert!((1400..=ETHERNET.segment_bytes).contains(&segment_bytes), "{segment_bytes}");
        }
    }

    #[test]
    fn a_relay_passes_all_and_the_end() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay::to(listener.local_addr().unwrap(), SMALL).unwrap();
        let mut client = TcpStream::connect(relay.address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let sent = vec![b'x'; 1_000_000];
        let echo = thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).unwrap();
            server.write_all(&received).unwrap();
        });
        client.write_all(&sent).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert!(received == sent, "{} bytes came back", received.len());
        echo.join().unwrap();
    }
}
