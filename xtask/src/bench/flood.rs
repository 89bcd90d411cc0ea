//! Connections that send as fast as they can, whatever it is, and throw away what comes back: the load beside which somebody
//! else's latency is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use flate2::{Compress, Compression, FlushCompress};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// Threads that write; one for each core of a small machine, so that a daemon is kept busy and still gets some of it.
const THREADS: usize = 2;
/// Bytes thrown away at a time.
const READ_BYTES: usize = 64 * 1024;
/// How often a thread with nothing to do looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(20);

/// Where the bytes go: a socket, or TLS on one.
pub(crate) enum Pipe {
    /// As it is.
    Plain(TcpStream),
    /// In TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Pipe {
    /// Shakes hands as a client that trusts everybody.
    pub(crate) fn tls(socket: TcpStream) -> Result<Self> {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

/// One connection of a flood: what it sends over and over.
pub(crate) struct Flooder {
    /// Ready for it.
    pub(crate) pipe: Pipe,
    /// Whole commands, or what these became.
    pub(crate) block: Arc<[u8]>,
}

/// Runs `meanwhile` beside a flood, which ends with it.
pub(crate) fn beside<T>(flooders: Vec<Flooder>, meanwhile: impl FnOnce() -> Result<T>) -> Result<T> {
    let over = AtomicBool::new(false);
    let mut shares: [Vec<Flooder>; THREADS] = Default::default();
    for (index, flooder) in flooders.into_iter().enumerate() {
        shares[index % THREADS].push(flooder);
    }
    thread::scope(|scope| {
        let spawn = |share| scope.spawn(|| send(share, &over));
        let threads: Vec<_> = shares.into_iter().filter(|share| !share.is_empty()).map(spawn).collect();
        let result = meanwhile();
        over.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap_or_else(|_| Err(anyhow!("a flooding thread panicked")))?;
        }
        result
    })
}

/// Writes and reads whatever is possible on each connection until it is `over`.
fn send(mut flooders: Vec<Flooder>, over: &AtomicBool) -> Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (index, flooder) in flooders.iter().enumerate() {
        let socket = flooder.pipe.socket();
        socket.set_nonblocking(true)?;
        epoll.add(socket.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT, index as u64))?;
    }
    let mut sent = vec![0; flooders.len()];
    let mut events = [EpollEvent::empty(); 16];
    let mut buffer = vec![0; READ_BYTES];
    while !over.load(Ordering::Relaxed) {
        let count = epoll.wait(&mut events, EpollTimeout::try_from(GLANCE)?)?;
        for event in &events[..count] {
            let index = event.data() as usize;
            let Flooder { pipe, block } = &mut flooders[index];
            if event.events().contains(EpollFlags::EPOLLIN) {
                passed(pipe.read(&mut buffer)).context("the daemon ended a connection of the flood")?;
            }
            if event.events().contains(EpollFlags::EPOLLOUT) {
                sent[index] += passed(pipe.write(&block[sent[index]..])).context("write of the flood")?;
                sent[index] %= block.len();
            }
        }
    }
    Ok(())
}

/// How much went through; nothing if just now it cannot.
fn passed(result: std::io::Result<usize>) -> std::io::Result<usize> {
    match result {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        result => result,
    }
}

/// `text` as a piece of a deflate stream that can be sent again and again: it refers to nothing before it.
pub(crate) fn deflated(text: &[u8]) -> Result<Vec<u8>> {
    let mut compress = Compress::new(Compression::new(6), false);
    let mut out = Vec::with_capacity(text.len());
    compress.compress_vec(text, &mut out, FlushCompress::Full)?;
    anyhow::ensure!(compress.total_in() == text.len() as u64, "the text is not compressed as a whole");
    Ok(out)
}

/// `text` as a snappy stream. It can be sent again and again, since a stream may begin anew.
pub(crate) fn snapped(text: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(text)?;
    encoder.into_inner().map_err(|error| anyhow!("snappy: {error}"))
}

/// A client that takes any certificate: what is measured is the encryption.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block that is sent twice is its text twice.
    #[test]
    fn compressed_blocks_can_be_sent_again() {
        let text = b"PUB t\n\0\0\0\x01x".repeat(30_000);
        let twice = deflated(&text).unwrap().repeat(2);
        let mut back = vec![0; 3 * text.len()];
        let mut decompress = flate2::Decompress::new(false);
        decompress.decompress(&twice, &mut back, flate2::FlushDecompress::None).unwrap();
        assert!(back[..decompress.total_out() as usize] == text.repeat(2));
        let twice = snapped(&text).unwrap().repeat(2);
        back.clear();
        snap::read::FrameDecoder::new(&twice[..]).read_to_end(&mut back).unwrap();
        assert!(back == text.repeat(2));
    }
}
