//! A panic, on demand. On wasm it is a trap and nothing else: the package knows what to do about those.

use wasm_bindgen::prelude::wasm_bindgen;

/// Panics: how the package's tests see what becomes of it. Not in what is published.
#[wasm_bindgen]
pub fn panic_here() {
    panic!("on demand");
}
