//! The errors a client can be told. [`ErrorCode`] owns the wire's word and whether the connection outlives it.

use std::fmt;

use super::frame::{FrameType, put_frame};

/// First word of an error frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Wrong magic.
    BadProtocol,
    /// Unknown command, wrong state, wrong parameters.
    Invalid,
    /// The body of IDENTIFY, AUTH or MPUB.
    BadBody,
    /// A topic name.
    BadTopic,
    /// A channel name.
    BadChannel,
    /// The size of a message, or its bytes did not come.
    BadMessage,
    /// PUB could not be carried out.
    PublishFailed,
    /// MPUB could not be carried out.
    PublishManyFailed,
    /// DPUB could not be carried out.
    PublishDeferredFailed,
    /// SUB could not be carried out.
    SubscribeFailed,
    /// The features of IDENTIFY contradict each other, or an upgrade failed.
    IdentifyFailed,
    /// AUTH where nobody asks for it.
    AuthDisabled,
    /// The auth server could not be asked, or its answer was not one.
    AuthFailed,
    /// Authenticated, and not allowed.
    Unauthorized,
    /// AUTH must come before this command.
    AuthFirst,
    /// FIN for a message the client does not hold.
    FinishFailed,
    /// REQ for a message the client does not hold.
    RequeueFailed,
    /// TOUCH for a message the client does not hold.
    TouchFailed,
}

/// What an error does to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The connection is closed behind the frame.
    Fatal,
    /// The connection goes on.
    Recoverable,
}

impl ErrorCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadProtocol => "E_BAD_PROTOCOL",
            Self::Invalid => "E_INVALID",
            Self::BadBody => "E_BAD_BODY",
            Self::BadTopic => "E_BAD_TOPIC",
            Self::BadChannel => "E_BAD_CHANNEL",
            Self::BadMessage => "E_BAD_MESSAGE",
            Self::PublishFailed => "E_PUB_FAILED",
            Self::PublishManyFailed => "E_MPUB_FAILED",
            Self::PublishDeferredFailed => "E_DPUB_FAILED",
            Self::SubscribeFailed => "E_SUB_FAILED",
            Self::IdentifyFailed => "E_IDENTIFY_FAILED",
            Self::AuthDisabled => "E_AUTH_DISABLED",
            Self::AuthFailed => "E_AUTH_FAILED",
            Self::Unauthorized => "E_UNAUTHORIZED",
            Self::AuthFirst => "E_AUTH_FIRST",
            Self::FinishFailed => "E_FIN_FAILED",
            Self::RequeueFailed => "E_REQ_FAILED",
            Self::TouchFailed => "E_TOUCH_FAILED",
        }
    }

    /// Whether the connection outlives it.
    pub const fn severity(self) -> Severity {
        match self {
            Self::FinishFailed | Self::RequeueFailed | Self::TouchFailed => Severity::Recoverable,
            Self::BadProtocol
            | Self::Invalid
            | Self::BadBody
            | Self::BadTopic
            | Self::BadChannel
            | Self::BadMessage
            | Self::PublishFailed
            | Self::PublishManyFailed
            | Self::PublishDeferredFailed
            | Self::SubscribeFailed
            | Self::IdentifyFailed
            | Self::AuthDisabled
            | Self::AuthFailed
            | Self::Unauthorized
            | Self::AuthFirst => Severity::Fatal,
        }
    }
}

/// What a client did wrong, or what could not be done for it. The detail is bytes because it may echo the client's.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandError {
    code: ErrorCode,
    detail: Vec<u8>,
}

impl CommandError {
    /// An error whose frame is `code`, a space and `detail`; the bare `code` if `detail` is empty.
    pub fn new(code: ErrorCode, detail: impl Into<Vec<u8>>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The first word.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Appends the error frame to `out`.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_frame(out, FrameType::Error, &self.text());
    }

    /// The text of the frame, in pieces.
    pub fn text(&self) -> [&[u8]; 3] {
        let space: &[u8] = if self.detail.is_empty() { b"" } else { b" " };
        [self.code.as_str().as_bytes(), space, &self.detail]
    }
}

impl fmt::Debug for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.as_str(), self.detail.escape_ascii())
    }
}
