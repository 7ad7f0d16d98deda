#![no_main]

use wgrad_fuzz::targets::image;

/// Memory limit in bytes: a few times 8 bytes for each of 65,536 pixels, and the frames of a WebP.
const MAX_BYTES: usize = 32 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::run(image::run, MAX_BYTES, data));
