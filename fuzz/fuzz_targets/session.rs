//! See `sansq_fuzz::session`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sansq_fuzz::session::run(data));
