#![no_main]

use wgrad_fuzz::targets::archive;

/// Memory limit in bytes: the decompressor's window, a header and a buffer for copying.
const MAX_BYTES: usize = 2 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(archive::run, MAX_BYTES, data));
