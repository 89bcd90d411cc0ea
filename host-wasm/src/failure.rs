//! What JavaScript is told of a failure: an `Error` whose `name` is a code, which the package turns into its classes.

use wasm_bindgen::JsValue;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// An argument or option.
    Argument,
    /// A script, action or link of the simulator.
    Action,
    /// Not the name of a topic.
    BadTopic,
    /// Not the name of a channel.
    BadChannel,
    /// A number that cannot grow further.
    Limit,
    /// The files in memory.
    Storage,
}

impl Code {
    /// The code as JavaScript sees it. Where the protocol has a word for it, it is that.
    fn as_str(self) -> &'static str {
        match self {
            Self::Argument => "E_ARGUMENT",
            Self::Action => "E_ACTION",
            Self::BadTopic => "E_BAD_TOPIC",
            Self::BadChannel => "E_BAD_CHANNEL",
            Self::Limit => "E_LIMIT",
            Self::Storage => "E_STORAGE",
        }
    }
}

/// The error to throw.
pub(crate) fn failure(code: Code, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    error.set_name(code.as_str());
    error.into()
}
