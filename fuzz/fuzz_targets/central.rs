//! See `targets::central`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wx_jssdk_fuzz::central(data));
