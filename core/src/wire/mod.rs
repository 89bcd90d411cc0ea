//! The V2 protocol as bytes: frames, command lines, bodies, error texts. Everything here is a pure function of its
//! arguments; what a command means, and when it is allowed, is [`session`](crate::session)'s. The protocol's own
//! spellings (`FIN`, `E_FIN_FAILED`, `_heartbeat_`) appear here and nowhere else.

mod command;
mod encode;
mod error;
mod frame;
mod identify;
mod mpub;
mod number;
mod quote;

pub use command::{LINE_BYTES_MAX, Line, MAGIC, Verb};
pub use encode::{put_bare, put_finish, put_publish, put_ready, put_requeue, put_subscribe, put_touch, put_with_body};
pub use error::{CommandError, ErrorCode, Severity};
pub use frame::{
    FRAME_HEAD_BYTES, FrameType, MESSAGE_HEAD_BYTES, put_close_wait, put_frame, put_heartbeat, put_message, put_ok,
    read_frame,
};
pub use identify::{AuthReply, Identify, IdentifyReply};
pub(crate) use identify::{fold, set};
pub use mpub::{MpubScan, Scanned, mpub_messages};
pub use number::decimal;
pub use quote::quote;
