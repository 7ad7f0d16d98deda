#![no_main]

use wgrad_fuzz::targets::idx;

/// Memory limit in bytes: an input of 4,096 bytes unpacks to at most about 4 MiB, of which the reader keeps two copies.
const MAX_BYTES: usize = 32 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(idx::run, MAX_BYTES, data));
