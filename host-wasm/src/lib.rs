//! The sansq core for JavaScript: a whole broker in memory, driven through bytes, in virtual time.
//!
//! [`Broker`] is [`sansq_core::driver::Driver`] with a clock that the caller sets, files in memory and a transport that
//! keeps what was sent until it is asked for. Nothing happens between calls: no timer, no promise, no clock of the machine,
//! so the same calls give the same bytes.

mod broker;

pub use broker::Broker;

use wasm_bindgen::prelude::wasm_bindgen;

/// The version of this package.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
