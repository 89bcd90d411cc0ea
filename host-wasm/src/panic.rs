//! What is left of a panic. On wasm it ends in a trap, which says nothing; the message waits here for the package, which asks
//! for it when a call has trapped.

use std::sync::{Mutex, Once, PoisonError};

use wasm_bindgen::prelude::wasm_bindgen;

static MESSAGE: Mutex<Option<String>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Has panics keep their message. Called when the module starts.
#[wasm_bindgen(start)]
pub fn start() {
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            *MESSAGE.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.to_string());
        }));
    });
}

/// The message and place of the panic that made a call trap; `undefined` if it was something else, such as a lack of memory.
#[wasm_bindgen]
pub fn panic_message() -> Option<String> {
    MESSAGE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Panics with `message`: how the package's tests see what becomes of a panic. Not in what is published.
#[cfg(feature = "panic-on-demand")]
#[wasm_bindgen]
pub fn panic_with(message: &str) {
    panic!("{message}");
}
