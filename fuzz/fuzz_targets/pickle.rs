#![no_main]

use wgrad_fuzz::targets::pickle;

/// Memory limit in bytes: many times the size of a file, because each byte of a pickle may be a value.
const MAX_BYTES: usize = 16 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(pickle::run, MAX_BYTES, data));
