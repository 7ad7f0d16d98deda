#![no_main]

use wgrad_fuzz::targets::image;

/// 16 MiB for attachments of a PNG, and 8 bytes for each of 65,536 pixels, a few times.
const MAX_BYTES: usize = 32 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(image::run, MAX_BYTES, data));
