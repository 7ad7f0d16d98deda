#![no_main]

use wgrad_fuzz::targets::weights;

/// Memory limit in bytes: a few times the size of a file.
const MAX_BYTES: usize = 16 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(weights::run, MAX_BYTES, data));
