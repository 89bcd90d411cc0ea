//! What a client of nsqd says and hears, for peers.

use std::io::{self, ErrorKind};
use std::sync::LazyLock;

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::connector;
use crate::streams::{Compressed, Deflate, Snappy, Stream};

/// What nsqd says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Response(Vec<u8>),
    Error(String),
    Message { id: [u8; 16], attempts: u16, body: Vec<u8> },
}

/// The next frame; `None` at the end of the stream.
pub(crate) async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let size = match stream.read_u32().await {
        Ok(size) => size as usize,
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; size];
    stream.read_exact(&mut bytes).await?;
    let content = bytes.split_off(4);
    Ok(Some(match bytes[..] {
        [0, 0, 0, 0] => Frame::Response(content),
        [0, 0, 0, 1] => Frame::Error(String::from_utf8_lossy(&content).into_owned()),
        [0, 0, 0, 2] => Frame::Message {
            id: content[10..26].try_into().expect("16 bytes"),
            attempts: u16::from_be_bytes([content[8], content[9]]),
            body: content[26..].to_vec(),
        },
        _ => panic!("no kind of frame: {bytes:?}"),
    }))
}

/// The body of message `number`, which says which it is.
pub(crate) fn body(number: u32, size: usize) -> Vec<u8> {
    /// Not easily compressed, not hard either. Made once: a debug build makes some 30 bytes in a microsecond.
    static NOISE: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..1_000_000_u64).map(|at| ((at * 2_654_435_761) >> 27) as u8).collect());
    let from = number as usize % 1000;
    [&number.to_be_bytes(), &NOISE[from..from + size]].concat()
}

/// Says who we are, and puts on the layers that were asked for.
pub(crate) async fn negotiate(
    mut stream: Box<dyn Stream>,
    wish: &str,
    heartbeat_ms: u64,
) -> io::Result<Box<dyn Stream>> {
    let (tls, snappy, deflate) = (wish.contains("tls"), wish.contains("snappy"), wish.contains("deflate"));
    let identify = serde_json::json!({
        "feature_negotiation": true, "tls_v1": tls, "snappy": snappy, "deflate": deflate,
        "heartbeat_interval": heartbeat_ms, "client_id": "a peer", "hostname": "here",
    });
    let identify = identify.to_string();
    stream.write_all(b"  V2IDENTIFY\n").await?;
    stream.write_u32(identify.len() as u32).await?;
    stream.write_all(identify.as_bytes()).await?;
    stream.flush().await?;
    let Some(Frame::Response(answer)) = frame(&mut stream).await? else { panic!("no answer to IDENTIFY") };
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(
        (&answer["tls_v1"], &answer["snappy"], &answer["deflate"]),
        (&tls.into(), &snappy.into(), &deflate.into())
    );
    if tls {
        let name = ServerName::try_from("localhost").expect("a name");
        stream = Box::new(connector().connect(name, stream).await?);
        confirmed(&mut stream).await?;
    }
    if snappy {
        stream = Box::new(Compressed::new(stream, Snappy::new(), Bytes::new()));
        confirmed(&mut stream).await?;
    }
    if deflate {
        stream = Box::new(Compressed::new(stream, Deflate::new(1), Bytes::new()));
        confirmed(&mut stream).await?;
    }
    Ok(stream)
}

async fn confirmed(stream: &mut Box<dyn Stream>) -> io::Result<()> {
    let heard = frame(stream).await?;
    assert_eq!(heard, Some(Frame::Response(b"OK".to_vec())), "a layer is confirmed");
    Ok(())
}
