//! See `sansq_fuzz::codec`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sansq_fuzz::codec::run(data));
