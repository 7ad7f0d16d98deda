//! JPEG pictures.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::Check;
use super::orientation::Orientation;
use super::stored::{Stored, damaged};

/// Decodes a JPEG. `check` tests width and height before memory is allocated for the pixels. A picture of four inks
/// becomes RGB without a colour profile.
///
/// # Errors
/// If the file is damaged or has no end marker, or `check` refuses its size.
pub(super) fn read(bytes: &[u8], check: Check) -> Result<Stored, String> {
    let Segments { exif, xmp, scans } = Segments::of(bytes);
    // The decoder fills missing parts with grey, as browsers do. Without this check, a prediction for half of a picture
    // would look like a prediction for the whole picture.
    if !scans.windows(2).any(|pair| pair == END) {
        return Err("ends before the end of the picture".to_string());
    }
    let Pixels { size: [width, height], channels, samples } = decoded(bytes, check, true)?;
    // The sides of a JPEG are at most 65,535 pixels, so both casts are exact.
    let size = [width as u32, height as u32];
    let orientation = Orientation::of((!exif.is_empty()).then_some(&exif), xmp);
    Ok(Stored { size, channels, samples, orientation })
}

/// Returns the samples of a part of a TIFF, `[height, width, channels]`. `part` has width and height. The tables of all
/// parts may be in front of them, and `is_ycbcr` is true if the samples become RGB.
///
/// # Errors
/// If the part is damaged or has other sides.
pub(super) fn part_of_tiff(
    tables: &[u8],
    data: &[u8],
    part: [usize; 2],
    channels: usize,
    is_ycbcr: bool,
) -> Result<Vec<u8>, String> {
    // Tables and data are two JPEG files: the end of the first and the start of the second are left out.
    let joined = match (tables, data) {
        ([tables @ .., _, _], [_, _, data @ ..]) => [tables, data].concat(),
        _ => data.to_vec(),
    };
    let [width, height] = part;
    let is_expected =
        |[wide, high]: [u32; 2]| match (wide as usize, high as usize) == (width, height) {
            true => Ok(()),
            false => Err(damaged(format!("a part of {wide}x{high} pixels, not {width}x{height}"))),
        };
    let pixels = decoded(&joined, &is_expected, is_ycbcr)?;
    match pixels.channels == channels {
        true => Ok(pixels.samples),
        false => Err(damaged(format!("a part of {} channels, not {channels}", pixels.channels))),
    }
}

/// A decoded picture.
struct Pixels {
    /// Width and height.
    size: [usize; 2],
    channels: usize,
    /// Samples: `[height, width, channels]`.
    samples: Vec<u8>,
}

/// Decodes a JPEG: grey, or as RGB if `is_converted`, or as its own samples.
fn decoded(bytes: &[u8], check: Check, is_converted: bool) -> Result<Pixels, String> {
    let damaged = |error: DecodeErrors| damaged(error);
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or("cannot be decoded (it has no size)")?;
    check([width as u32, height as u32])?;
    let space = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        Some(own) if !is_converted => own,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let samples = decoder.decode().map_err(damaged)?;
    let channels = space.num_components();
    let n = width * height * channels;
    if samples.len() != n {
        return Err(format!("cannot be decoded ({} bytes of {n})", samples.len()));
    }
    Ok(Pixels { size: [width, height], channels, samples })
}

/// The marker behind the last scan.
const END: [u8; 2] = [0xff, 0xd9];

/// The parts of a JPEG file.
struct Segments<'a> {
    /// Exif data of all segments that have them, joined.
    exif: Vec<u8>,
    /// XMP data of the last segment that has them.
    xmp: Option<&'a [u8]>,
    /// Bytes from the first scan to the end of the file.
    scans: &'a [u8],
}

impl<'a> Segments<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        const START_OF_SCAN: u8 = 0xda;
        const APP1: u8 = 0xe1;
        let (mut exif, mut xmp) = (Vec::new(), None);
        // Segments are skipped by their lengths, because a segment may hold a thumbnail JPEG with an end marker of its
        // own.
        let mut at = 2;
        while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
            if marker == START_OF_SCAN {
                break;
            }
            // Fill bytes of 0xff may stand before a marker.
            if marker == 0xff {
                at += 1;
                continue;
            }
            let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
            if marker == APP1
                && let Some(content) = bytes.get(at + 4..end)
            {
                if let Some(data) = content.strip_prefix(b"Exif\0\0") {
                    exif.extend(data);
                } else if let Some(data) = content.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                    xmp = Some(data);
                }
            }
            at = end;
        }
        Self { exif, xmp, scans: bytes.get(at..).unwrap_or_default() }
    }
}
