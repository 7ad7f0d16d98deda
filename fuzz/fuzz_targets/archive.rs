#![no_main]

use wgrad_fuzz::targets::archive;

/// A window of the decompressor, a header, and a buffer to copy with.
const MAX_BYTES: usize = 2 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(archive::run, MAX_BYTES, data));
