//! wasm bindings of the sansq core.
