//! The client's end of one connection, as far as a program in the simulator needs it.

use crate::message::MessageId;

use super::decode::{Item, frame};

/// What a connection brought its program.
pub(super) enum Heard<'a> {
    /// A publish was accepted.
    Ok,
    /// Something was refused; the connection ends if it is fatal.
    Error,
    /// A message.
    Message { id: MessageId, attempts: u16, body: &'a [u8] },
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    partial: Vec<u8>,
    /// Responses to come before those to publishes.
    preamble: u32,
}

impl Peer {
    /// A new connection: what to say first.
    pub(super) fn open(&mut self, json: &str, subscription: Option<(&str, &str)>) -> Vec<u8> {
        self.partial.clear();
        let mut out = b"  V2IDENTIFY\n".to_vec();
        out.extend((json.len() as u32).to_be_bytes());
        out.extend(json.as_bytes());
        self.preamble = 1;
        if let Some((topic, channel)) = subscription {
            out.extend(format!("SUB {topic} {channel}\n").as_bytes());
            self.preamble += 1;
        }
        out
    }

    /// Takes bytes in. Heartbeats are answered into `out`.
    pub(super) fn hear(&mut self, bytes: &[u8], out: &mut Vec<u8>, mut tell: impl FnMut(Heard<'_>)) {
        let stored = !self.partial.is_empty();
        if stored {
            self.partial.extend_from_slice(bytes);
        }
        let input = if stored { std::mem::take(&mut self.partial) } else { Vec::new() };
        let all = if stored { &input[..] } else { bytes };
        let mut at = 0;
        while let Some((item, len)) = frame(&all[at..]) {
            at += len;
            match item {
                Item::Heartbeat => out.extend_from_slice(b"NOP\n"),
                Item::Ok | Item::Response(_) if self.preamble > 0 => self.preamble -= 1,
                Item::Ok => tell(Heard::Ok),
                Item::Error(_) => tell(Heard::Error),
                Item::Message { id, attempts, body, .. } => tell(Heard::Message { id, attempts, body }),
                _ => {}
            }
        }
        self.partial = all[at..].to_vec();
    }
}
