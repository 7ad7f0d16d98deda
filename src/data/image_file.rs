//! Reads pictures, PNG or JPEG of any size, and converts them to the network's input.
//!
//! ```text
//! file --decode--> picture --over white--centre square--turn upright--resize--> [3, 32, 32] bytes
//! ```
//!
//! The conversion follows `torchvision.transforms`, so both give the same input: `CenterCrop` to the shorter
//! side, then `Resize(32)` with the bilinear (triangle) filter, widened so that every source pixel counts.
//! The result is what a viewer shows: the camera's orientation tag is applied, transparent pixels are blended
//! with white, and an animation gives its first frame. Grey becomes three equal channels, and 16 bits are
//! rounded to 8. Colour profiles are ignored.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{
    DynamicImage, GenericImageView, ImageDecoder, ImageFormat, Limits, Rgb, RgbImage, Rgba,
};
use thiserror::Error;

use super::{IMAGE_BYTES, IMAGE_SIZE, N_CHANNELS};
use crate::base::shown::Shown;

/// The size limit of a file, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The limit on pixels. A file of a few kilobytes can claim any size, and a pixel takes up to 8 bytes while
/// decoding.
pub const MAX_PIXELS: u64 = 1 << 27;

/// The PNG decoder's limit on memory besides the pixels, for colour profiles and other attachments, in bytes.
const MAX_ATTACHMENTS: u64 = 16 << 20;

/// The error of reading a picture.
#[derive(Debug, Error)]
pub enum ImageFileError {
    /// The operating system cannot read the file.
    #[error("{}: {source}", path.shown())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is damaged, too large, or of another format.
    #[error("{}: {reason}", path.shown())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
}

/// Reads a picture and returns `[3, 32, 32]` bytes, in the format of a [`Split`](super::Split).
///
/// # Errors
/// If the file cannot be read, or is not a complete PNG or JPEG of at most [`MAX_PIXELS`] pixels.
pub fn read(path: &Path) -> Result<Vec<u8>, ImageFileError> {
    let io = |source| ImageFileError::Io { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    let n = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)? as u64;
    let result = match n > MAX_FILE_BYTES {
        true => Err(format!("larger than {} MiB", MAX_FILE_BYTES >> 20)),
        false => decode(&bytes, MAX_PIXELS),
    };
    result.map_err(|reason| ImageFileError::Unusable { path: path.to_path_buf(), reason })
}

/// Decodes a picture from a file's bytes, with a limit on pixels.
///
/// # Errors
/// The problem, as a message.
pub fn decode(bytes: &[u8], max_pixels: u64) -> Result<Vec<u8>, String> {
    let damaged = |error: image::ImageError| format!("cannot be decoded ({error})");
    let reader = Cursor::new(bytes);
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => {
            check_png(bytes, max_pixels)?;
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(MAX_ATTACHMENTS);
            upright_square(PngDecoder::with_limits(reader, limits).map_err(damaged)?, max_pixels)
        }
        Ok(ImageFormat::Jpeg) if !has_end(bytes) => {
            Err("ends before the end of the picture".to_string())
        }
        Ok(ImageFormat::Jpeg) => {
            upright_square(JpegDecoder::new(reader).map_err(damaged)?, max_pixels)
        }
        Ok(format) => {
            let name = format.extensions_str().first().unwrap_or(&"another format");
            Err(format!("has another format ({name}); use PNG or JPEG"))
        }
        Err(_) if bytes.is_empty() => Err("an empty file".to_string()),
        Err(_) => Err("neither PNG nor JPEG".to_string()),
    }
}

/// Checks that the decoder reports badly or panics on. For a too large size in the header, its message is
/// about rows that are too long. On a palette with an incomplete colour, it panics.
fn check_png(bytes: &[u8], max_pixels: u64) -> Result<(), String> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    // A chunk: the length of its content, its name, its content, and a checksum.
    while let Some((&length, named)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(length) as usize;
        let Some((name, content)) = named.split_first_chunk::<4>() else { break };
        match (name, content) {
            (b"IHDR", &[w0, w1, w2, w3, h0, h1, h2, h3, ..]) => {
                let number = u32::from_be_bytes;
                check_size(number([w0, w1, w2, w3]), number([h0, h1, h2, h3]), max_pixels)?;
            }
            (b"PLTE", _) if length == 0 || length > 3 * 256 || !length.is_multiple_of(3) => {
                return Err(format!("cannot be decoded (a palette of {length} bytes)"));
            }
            (b"IDAT", _) => break,
            _ => {}
        }
        rest = content.get(length.saturating_add(4)..).unwrap_or_default();
    }
    Ok(())
}

fn check_size(width: u32, height: u32, max_pixels: u64) -> Result<(), String> {
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(format!(
            "has {width}x{height} pixels; the limit is {max_pixels} pixels in all"
        ));
    }
    Ok(())
}

fn upright_square(mut decoder: impl ImageDecoder, max_pixels: u64) -> Result<Vec<u8>, String> {
    let (width, height) = decoder.dimensions();
    check_size(width, height, max_pixels)?;
    // An invalid orientation tag is ignored.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder);
    let picture = picture.map_err(|error| format!("cannot be decoded ({error})"))?;

    let square = centre_square(&picture, orientation);
    drop(picture);
    let size = IMAGE_SIZE as u32;
    Ok(planar(&imageops::resize(&square, size, size, FilterType::Triangle)))
}

/// Returns the centre square of the upright picture, blended with white.
fn centre_square(picture: &DynamicImage, orientation: Orientation) -> RgbImage {
    let (width, height) = picture.dimensions();
    let is_on_its_side = matches!(
        orientation,
        Orientation::Rotate90FlipH
            | Orientation::Rotate90
            | Orientation::Rotate270FlipH
            | Orientation::Rotate270
    );
    let [wide, high] = if is_on_its_side { [height, width] } else { [width, height] };
    let side = wide.min(high);
    // Half of an odd margin is rounded like Python's `round`.
    let margin = |length: u32| (f64::from(length - side) / 2.0).round_ties_even() as u32;
    let (left, top) = (margin(wide), margin(high));
    let over_white = |x, y| {
        let [x, y] = upright(orientation, [width, height], [left + x, top + y]);
        let Rgba([r, g, b, alpha]) = picture.get_pixel(x, y);
        let alpha = u32::from(alpha);
        // Rounded to nearest.
        Rgb([r, g, b].map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    };
    RgbImage::from_fn(side, side, over_white)
}

/// Returns the position in the stored picture, of the given size, of pixel `[x, y]` of the upright picture.
fn upright(orientation: Orientation, [width, height]: [u32; 2], [x, y]: [u32; 2]) -> [u32; 2] {
    match orientation {
        Orientation::NoTransforms => [x, y],
        Orientation::FlipHorizontal => [width - 1 - x, y],
        Orientation::Rotate180 => [width - 1 - x, height - 1 - y],
        Orientation::FlipVertical => [x, height - 1 - y],
        Orientation::Rotate90FlipH => [y, x],
        Orientation::Rotate90 => [y, height - 1 - x],
        Orientation::Rotate270FlipH => [width - 1 - y, height - 1 - x],
        Orientation::Rotate270 => [width - 1 - y, x],
    }
}

/// Permutes `[32, 32, 3]` to `[3, 32, 32]`.
fn planar(image: &RgbImage) -> Vec<u8> {
    let bytes = image.as_raw();
    assert_eq!(bytes.len(), IMAGE_BYTES, "a picture of {IMAGE_SIZE}x{IMAGE_SIZE}");
    (0..N_CHANNELS)
        .flat_map(|channel| bytes.iter().skip(channel).step_by(N_CHANNELS))
        .copied()
        .collect()
}

/// Returns true if a JPEG has its end marker. Like browsers, the decoder fills missing parts with grey, and a
/// prediction for half a picture would look like one for the whole.
fn has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END: [u8; 2] = [0xff, 0xd9];
    // Segments before the first scan have a length, and may hold a thumbnail JPEG with an end marker of its
    // own.
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == START_OF_SCAN {
            break;
        }
        // Markers may be preceded by fill bytes.
        at += if marker == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([high, low])) };
    }
    bytes.get(at..).is_some_and(|scans| scans.windows(2).any(|pair| pair == END))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
        fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn decoded(name: &str) -> Vec<u8> {
        decode(&fixture(name), MAX_PIXELS).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Returns the largest and the mean difference of two pictures.
    fn difference(a: &[u8], b: &[u8]) -> (u8, f64) {
        assert_eq!(a.len(), b.len());
        let differences = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
        let sum: u64 = differences().map(u64::from).sum();
        (differences().max().unwrap_or(0), sum as f64 / a.len() as f64)
    }

    /// Compares with the results of Pillow and torchvision for the same files; see `generate.py` in their
    /// folder. JPEG decoders may differ by a few levels.
    #[test]
    fn pictures_are_torchvisions() {
        for (name, largest, mean) in [
            ("wide.png", 1, 0.3),
            ("tall_alpha.png", 1, 0.3),
            ("palette.png", 1, 0.3),
            ("grey16.png", 1, 0.3),
            ("small.png", 1, 0.3),
            ("turned.png", 1, 0.3),
            ("exact.png", 0, 0.0),
            ("dot.png", 0, 0.0),
            ("wide.jpg", 3, 0.5),
            ("grey.jpg", 3, 0.5),
            ("turned.jpg", 3, 0.5),
            ("mirrored.jpg", 3, 0.5),
            ("progressive.jpg", 3, 0.5),
        ] {
            let expected = fixture(&format!("{name}.rgb"));
            let (found_largest, found_mean) = difference(&decoded(name), &expected);
            assert!(
                found_largest <= largest && found_mean <= mean,
                "{name}: off by up to {found_largest}, {found_mean:.3} on average"
            );
        }
    }

    /// All eight orientations, on pictures with odd margins.
    #[test]
    fn rotation_and_crop_commute() {
        for (width, height) in [(7, 4), (4, 7)] {
            let pixel = |x, y| Rgb([x as u8, y as u8, (x * y) as u8]);
            let picture = DynamicImage::from(RgbImage::from_fn(width, height, pixel));
            for exif in 1..=8 {
                let orientation = Orientation::from_exif(exif).expect("there are eight");
                let mut turned = picture.clone();
                turned.apply_orientation(orientation);
                let expected = centre_square(&turned, Orientation::NoTransforms);
                assert_eq!(centre_square(&picture, orientation), expected, "{orientation:?}");
            }
        }
    }

    #[test]
    fn claims_are_not_believed() {
        // The header claims 100,000 x 100,000 pixels, which is 30 GB as RGB.
        for (bytes, word) in [
            (png_of(100_000, 100_000), "100000x100000"),
            (png_of(u32::MAX >> 1, u32::MAX >> 1), "2147483647"),
            (jpeg_of(65_500, 65_500), "65500x65500"),
        ] {
            let error = decode(&bytes, MAX_PIXELS).expect_err("too large");
            assert!(error.contains(word), "{error}");
        }
        let error = decode(&fixture("wide.png"), 100).expect_err("too large");
        assert!(error.contains("limit is 100"), "{error}");
    }

    /// A PNG of this size without its pixels.
    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = fixture("wide.png");
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        bytes
    }

    fn jpeg_of(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = fixture("wide.jpg");
        let start_of_frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("there");
        let size = &mut bytes[start_of_frame + 5..start_of_frame + 9];
        size[..2].copy_from_slice(&height.to_be_bytes());
        size[2..].copy_from_slice(&width.to_be_bytes());
        bytes
    }

    /// A fuzzer found that the decoder panics on these.
    #[test]
    fn palettes_of_broken_colours() {
        for length in [0_usize, 1, 2, 4, 767, 769, 771] {
            let mut bytes = fixture("palette.png");
            let at = bytes.windows(4).position(|name| name == b"PLTE").expect("there") - 4;
            let old: [u8; 4] = bytes[at..at + 4].try_into().expect("four");
            let end = at + 12 + u32::from_be_bytes(old) as usize;
            let content: Vec<u8> =
                b"PLTE".iter().copied().chain((0..length).map(|k| k as u8)).collect();
            let mut crc = flate2::Crc::new();
            crc.update(&content);
            let chunk = [&(length as u32).to_be_bytes(), &content[..], &crc.sum().to_be_bytes()];
            bytes.splice(at..end, chunk.concat());
            let error = decode(&bytes, MAX_PIXELS).expect_err("a broken colour");
            assert!(error.contains(&format!("palette of {length} bytes")), "{error}");
        }
    }

    #[test]
    fn incomplete_pictures_are_refused() {
        for (bytes, word) in [
            (Vec::new(), "empty"),
            (b"hello".to_vec(), "neither"),
            (b"GIF89a\x01\x00\x01\x00\x00\x00\x00".to_vec(), "gif"),
            (fixture("wide.png")[..200].to_vec(), "decoded"),
            (fixture("wide.png")[..8].to_vec(), "decoded"),
            (fixture("wide.jpg")[..700].to_vec(), "ends before"),
            (fixture("turned.jpg")[..900].to_vec(), "ends before"),
            (b"\xff\xd8\xff\xd9".to_vec(), "decoded"),
        ] {
            let error = decode(&bytes, MAX_PIXELS).expect_err(word);
            assert!(error.contains(word), "{error}");
        }
        // Bytes after the end marker, which phones append, are ignored.
        let more = [&fixture("wide.jpg")[..], b"a film"].concat();
        assert_eq!(decode(&more, MAX_PIXELS), Ok(decoded("wide.jpg")));
    }

    #[test]
    fn files_are_named_in_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = read(&folder.path().join("none.png")).expect_err("there is none");
        assert!(error.to_string().contains("none.png"), "{error}");
        assert!(read(folder.path()).is_err(), "a folder is no picture");
        let path = folder.path().join("text.png");
        fs::write(&path, "text").expect("written");
        let error = read(&path).expect_err("it is text");
        assert!(error.to_string().ends_with("text.png: neither PNG nor JPEG"), "{error}");
    }
}
