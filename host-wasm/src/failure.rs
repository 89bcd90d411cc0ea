//! What JavaScript is told of a failure: an `Error` whose `name` is a code, which the package turns into its classes.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

// What js-sys has of it, without the exports that js-sys adds to every module.
#[wasm_bindgen]
extern "C" {
    type Error;
    #[wasm_bindgen(constructor)]
    fn new(message: &str) -> Error;
    #[wasm_bindgen(method, setter)]
    fn set_name(this: &Error, name: &str);
}

/// What kind of failure it is.
#[cfg_attr(not(all(feature = "broker", feature = "simulation")), allow(dead_code, reason = "each has its own"))]
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
    let error = Error::new(message);
    error.set_name(code.as_str());
    error.into()
}
