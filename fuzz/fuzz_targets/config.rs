#![no_main]

use wgrad_fuzz::targets::config;

/// Memory limit in bytes: a few times the size of a file.
const MAX_BYTES: usize = 4 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(config::run, MAX_BYTES, data));
