//! See `sansq_fuzz::stream`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sansq_fuzz::stream::run(data));
