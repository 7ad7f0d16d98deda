#![no_main]

use wgrad_fuzz::targets::cifar_batch;

/// Memory limit in bytes: a few times the size of a file.
const MAX_BYTES: usize = 4 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(cifar_batch::run, MAX_BYTES, data));
