//! The sansq core for JavaScript: a whole broker in memory, driven through bytes, in virtual time, and the simulator of whole
//! systems. The package has a wasm module of each, made with one of the features `broker` and `simulation`. These are the raw
//! bindings; what users see of them is the npm package in `npm/`, which turns codes into error classes and bytes into events.
//!
//! [`Broker`] is [`sansq_core::driver::Driver`] with a clock that the caller sets, files in memory and a transport that
//! keeps what was sent until it is asked for. Nothing happens between calls: no timer, no promise, no clock of the machine,
//! so the same calls give the same bytes. [`Simulation`] is [`sansq_core::sim::Simulation`] as it is. Nothing calls back into JavaScript either, so no call finds a value in use.

#[cfg(feature = "broker")]
mod broker;
mod failure;
#[cfg(feature = "panic-on-demand")]
mod panic;
#[cfg(feature = "simulation")]
mod simulation;
mod time;

#[cfg(feature = "broker")]
pub use broker::Broker;
#[cfg(feature = "panic-on-demand")]
pub use panic::*;
#[cfg(feature = "simulation")]
pub use simulation::Simulation;

use wasm_bindgen::prelude::wasm_bindgen;

/// The version of this package.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
