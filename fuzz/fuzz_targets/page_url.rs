//! See `targets::page_url`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wx_jssdk_fuzz::page_url(data));
