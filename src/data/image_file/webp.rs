//! WebP pictures; of an animation, the first frame.

use std::io::Cursor;

use image_webp::WebPDecoder;

use super::Check;
use super::orientation::Orientation;
use super::stored::{Stored, damaged};

/// Decodes a WebP. `check` tests width and height before memory is allocated for the pixels.
///
/// # Errors
/// If the file is damaged, or `check` refuses its size.
pub(super) fn read(bytes: &[u8], check: Check) -> Result<Stored, String> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let size: [u32; 2] = decoder.dimensions().into();
    check(size)?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut samples = vec![0; size[0] as usize * size[1] as usize * channels];
    if decoder.is_animated() {
        decoder.set_background_color([0; 4]).map_err(damaged)?;
        decoder.read_frame(&mut samples).map_err(damaged)?;
    } else {
        decoder.read_image(&mut samples).map_err(damaged)?;
    }
    // A file whose metadata are damaged is read without them.
    let (exif, xmp) = (decoder.exif_metadata(), decoder.xmp_metadata());
    let (exif, xmp) = (exif.ok().flatten(), xmp.ok().flatten());
    let orientation = Orientation::of(exif.as_deref(), xmp.as_deref());
    Ok(Stored { size, channels, samples, orientation })
}
