//! See `targets::upstream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wx_jssdk_fuzz::upstream(data));
