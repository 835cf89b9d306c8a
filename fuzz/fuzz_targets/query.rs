//! See `targets::query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wx_jssdk_fuzz::query(data));
