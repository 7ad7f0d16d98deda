#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::targets::image::run(data));
