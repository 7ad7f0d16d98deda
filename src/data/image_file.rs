//! Reads PNG and JPEG pictures of any size, and converts them to the network's input.
//!
//! ```text
//! file --decode--> picture --over white--cut the centre--turn upright--resize--> [C, H, W] bytes
//! ```
//!
//! The conversion follows `torchvision.transforms`, and a test compares the results. First, `CenterCrop` cuts out the
//! largest central part with the proportions of the input; for a square input, this is a square of the shorter side.
//! Then `Resize` scales this part with the bilinear (triangle) filter and antialiasing.
//!
//! As in an image viewer, the camera's orientation tag is applied, transparent pixels are blended with white, and an
//! animation gives its first frame. A grey picture becomes three equal channels. A colour picture becomes grey if the
//! input has one channel. Channels of 16 bits are rounded to 8 bits. Colour profiles are ignored.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::ImageSize;
use super::resize::resize;
use crate::base::shown::Shown;

mod orientation;
mod stored;

use stored::Stored;

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The largest number of pixels of a picture. A file of a few kilobytes can claim any size, and decoding takes up to 8
/// bytes of memory for each pixel.
pub const MAX_PIXELS: u64 = 1 << 27;

/// The first bytes of a PNG.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The first bytes of a JPEG.
const JPEG: &[u8] = b"\xff\xd8\xff";
/// The first bytes and the names of the formats that wgrad recognises but does not read, for error messages.
const OTHERS: [(&[u8], &str); 5] =
    [(b"GIF8", "gif"), (b"RIFF", "webp"), (b"II*\0", "tiff"), (b"MM\0*", "tiff"), (b"BM", "bmp")];

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
        /// The problem with the contents of the file.
        reason: String,
    },
}

/// Reads a picture file and returns the picture as an image of the size `size`, `[C, H, W]` bytes, in the format of a
/// [`Split`](super::Split).
///
/// # Errors
/// If the file cannot be read, or is not a complete PNG or JPEG of at most [`MAX_PIXELS`] pixels.
pub fn read(path: &Path, size: ImageSize) -> Result<Vec<u8>, ImageFileError> {
    let io = |source| ImageFileError::Io { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    let n = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)? as u64;
    let result = match n > MAX_FILE_BYTES {
        true => Err(format!("larger than {} MiB", MAX_FILE_BYTES >> 20)),
        false => decode(&bytes, size, MAX_PIXELS),
    };
    result.map_err(|reason| ImageFileError::Unusable { path: path.to_path_buf(), reason })
}

/// A decoded picture, turned upright.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// Numbers of rows and columns.
    pub size: [usize; 2],
    /// Red, green and blue of each pixel: `[rows, columns, 3]`.
    pub rgb: Vec<u8>,
}

/// Decodes a picture from the bytes of a file, turns it upright, and blends transparent pixels with `background`.
///
/// # Errors
/// If the bytes are not a complete picture of at most `max_pixels` pixels. The error is a message.
pub fn decode_upright(
    bytes: &[u8],
    background: [u8; 3],
    max_pixels: u64,
) -> Result<Picture, String> {
    let picture = stored(bytes, max_pixels)?;
    let [width, height] = picture.size.map(|side| side as usize);
    let is_on_its_side = picture.orientation.is_on_its_side();
    let proportions = if is_on_its_side { [width, height] } else { [height, width] };
    let (rgb, size) = centre(&picture, proportions, background);
    Ok(Picture { size, rgb })
}

/// Decodes a picture from the bytes of a file, and returns an image of the size `size`, `[C, H, W]` bytes.
///
/// # Errors
/// If the bytes are not a complete PNG or JPEG of at most `max_pixels` pixels. The error is a message.
///
/// # Panics
/// If the size has neither one channel nor three.
pub fn decode(bytes: &[u8], size: ImageSize, max_pixels: u64) -> Result<Vec<u8>, String> {
    let picture = stored(bytes, max_pixels)?;
    let ImageSize { height, width, channels } = size;
    let (centre, cut) = centre(&picture, [height, width], [255; 3]);
    drop(picture);
    Ok(planar(&resize(&centre, 3, cut, [height, width]), channels))
}

/// Decodes a picture from the bytes of a file, as the file stores it.
fn stored(bytes: &[u8], max_pixels: u64) -> Result<Stored, String> {
    let check = |size| check_size(size, max_pixels);
    if bytes.starts_with(PNG) {
        Stored::of_png(bytes, check)
    } else if bytes.starts_with(JPEG) {
        if !has_end(bytes) {
            return Err("ends before the end of the picture".to_string());
        }
        Stored::of_jpeg(bytes, check)
    } else if bytes.is_empty() {
        Err("an empty file".to_string())
    } else if let Some((_, name)) = OTHERS.iter().find(|(head, _)| bytes.starts_with(head)) {
        Err(format!("has another format ({name}); use PNG or JPEG"))
    } else {
        Err("neither PNG nor JPEG".to_string())
    }
}

fn check_size([width, height]: [u32; 2], max_pixels: u64) -> Result<(), String> {
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(format!(
            "has {width}x{height} pixels; the limit is {max_pixels} pixels in all"
        ));
    }
    Ok(())
}

/// Returns the central part of a picture, turned upright and blended with `background`, as `[rows, columns, 3]` bytes, and its
/// numbers of rows and columns. It is the largest part whose rows and columns have the ratio `proportions`.
fn centre(picture: &Stored, proportions: [usize; 2], background: [u8; 3]) -> (Vec<u8>, [usize; 2]) {
    let ([width, height], orientation) = (picture.size, picture.orientation);
    let [wide, high] = if orientation.is_on_its_side() { [height, width] } else { [width, height] };
    let [rows, columns] = proportions.map(|side| side as u64);
    let scaled = |side: u32, by: u64, of: u64| (u64::from(side) * by / of).max(1) as u32;
    let (cut_high, cut_wide) =
        (high.min(scaled(wide, rows, columns)), wide.min(scaled(high, columns, rows)));
    // Half of an odd margin is rounded to the even number, as Python's `round` does in torchvision.
    let margin = |length: u32| (f64::from(length) / 2.0).round_ties_even() as u32;
    let (left, top) = (margin(wide - cut_wide), margin(high - cut_high));
    let blended = |[x, y]: [u32; 2]| {
        let at = orientation.stored(picture.size, [left + x, top + y]);
        let [r, g, b, alpha] = picture.rgba(at);
        let alpha = u32::from(alpha);
        // The added 127 rounds to the nearest integer.
        let blend = |(over, under): (u8, u8)| {
            ((u32::from(over) * alpha + u32::from(under) * (255 - alpha) + 127) / 255) as u8
        };
        let [under_r, under_g, under_b] = background;
        [(r, under_r), (g, under_g), (b, under_b)].map(blend)
    };
    let pixels = (0..cut_high).flat_map(|y| (0..cut_wide).map(move |x| [x, y]));
    (pixels.flat_map(blended).collect(), [cut_high as usize, cut_wide as usize])
}

/// Converts `[H, W, 3]` to `[channels, H, W]`. For one channel, the result is the grey of each pixel: the luma of ITU-R
/// BT.601, as in Pillow's `convert("L")`.
fn planar(bytes: &[u8], channels: usize) -> Vec<u8> {
    let (pixels, _) = bytes.as_chunks::<3>();
    match channels {
        1 => pixels.iter().map(|&pixel| grey(pixel)).collect(),
        3 => (0..3).flat_map(|channel| pixels.iter().map(move |pixel| pixel[channel])).collect(),
        n => panic!("a picture for an input of {n} channels"),
    }
}

fn grey(pixel: [u8; 3]) -> u8 {
    let weighted = pixel.into_iter().zip([19_595, 38_470, 7_471]);
    let sum: u32 = weighted.map(|(value, weight)| u32::from(value) * weight).sum();
    ((sum + 32_768) >> 16) as u8
}

/// Returns true if a JPEG has its end marker. The decoder fills missing parts with grey, as browsers do. Without this
/// check, a prediction for half of a picture would look like a prediction for the whole picture.
fn has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END: [u8; 2] = [0xff, 0xd9];
    // The segments before the first scan are skipped by their lengths, because a segment may hold a thumbnail JPEG with
    // an end marker of its own.
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == START_OF_SCAN {
            break;
        }
        // Fill bytes of 0xff may stand before a marker.
        at += if marker == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([high, low])) };
    }
    bytes.get(at..).is_some_and(|scans| scans.windows(2).any(|pair| pair == END))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SIZE: ImageSize = ImageSize { height: 32, width: 32, channels: 3 };

    fn fixture(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
        fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn decoded(name: &str) -> Vec<u8> {
        decode(&fixture(name), SIZE, MAX_PIXELS).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Returns the largest and the mean difference of two pictures.
    fn difference(a: &[u8], b: &[u8]) -> (u8, f64) {
        assert_eq!(a.len(), b.len());
        let differences = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
        let sum: u64 = differences().map(u64::from).sum();
        (differences().max().unwrap_or(0), sum as f64 / a.len() as f64)
    }

    /// Compares with the results of Pillow and torchvision for the same files; see
    /// `tests/fixtures/pictures/generate.py`. JPEG decoders may differ by a few levels.
    #[test]
    fn pictures_equal_those_of_torchvision() {
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

    /// Tests all eight orientations with pictures of 7x4 and 4x7 pixels. The centre square of 4x4 pixels leaves an odd
    /// number of pixels, 3, for the two margins.
    #[test]
    fn all_orientations_of_a_picture_have_the_same_centre_square() {
        for size @ [width, height] in [[7, 4], [4, 7]] {
            let pixels = (0..height).flat_map(|y| (0..width).map(move |x| [x, y]));
            let rgb = |[x, y]: [u32; 2]| [x as u8, y as u8, (x * y) as u8];
            let upright = Stored::of_rgb(size, 1, pixels.clone().flat_map(rgb).collect());
            for value in 1..=8 {
                let lies = if value < 5 { size } else { [height, width] };
                let mut stored =
                    Stored::of_rgb(lies, value, vec![0; (3 * width * height) as usize]);
                for at in pixels.clone() {
                    let [x, y] = stored.orientation.stored(lies, at);
                    let first = 3 * (y * lies[0] + x) as usize;
                    stored.samples[first..first + 3].copy_from_slice(&rgb(at));
                }
                assert_eq!(
                    centre(&stored, [1, 1], [255; 3]),
                    centre(&upright, [1, 1], [255; 3]),
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn an_input_may_have_any_proportions_and_one_channel() {
        let rgb = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]].concat();
        let picture = Stored::of_rgb([2, 2], 1, rgb);
        assert_eq!(planar(&centre(&picture, [1, 1], [255; 3]).0, 1), [76, 150, 29, 9]);
        let (pixels, cut) = centre(&picture, [1, 2], [255; 3]);
        assert_eq!((cut, &pixels[..3]), ([1, 2], &[255, 0, 0][..]));
        let size = ImageSize { height: 20, width: 24, channels: 1 };
        let image = decode(&fixture("wide.png"), size, MAX_PIXELS).expect("a picture");
        assert_eq!(image.len(), size.n_bytes());
    }

    #[test]
    fn files_that_claim_too_many_pixels_are_refused() {
        // The header claims 100,000 x 100,000 pixels, which is 30 GB as RGB.
        for (bytes, word) in [
            (png_of(100_000, 100_000), "100000x100000"),
            (png_of(u32::MAX >> 1, u32::MAX >> 1), "2147483647"),
            (jpeg_of(65_500, 65_500), "65500x65500"),
        ] {
            let error = decode(&bytes, SIZE, MAX_PIXELS).expect_err("too large");
            assert!(error.contains(word), "{error}");
        }
        let error = decode(&fixture("wide.png"), SIZE, 100).expect_err("too large");
        assert!(error.contains("limit is 100"), "{error}");
    }

    /// Returns a PNG whose header claims this size.
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

    /// The PNG decoder panics on a palette that ends within a colour. A fuzzer found this fault.
    #[test]
    fn palettes_of_an_invalid_length_are_refused() {
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
            let error = decode(&bytes, SIZE, MAX_PIXELS).expect_err("a broken colour");
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
            let error = decode(&bytes, SIZE, MAX_PIXELS).expect_err(word);
            assert!(error.contains(word), "{error}");
        }
        // Bytes after the end marker, which phones append, are ignored.
        let more = [&fixture("wide.jpg")[..], b"a film"].concat();
        assert_eq!(decode(&more, SIZE, MAX_PIXELS), Ok(decoded("wide.jpg")));
    }

    #[test]
    fn files_are_named_in_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = read(&folder.path().join("none.png"), SIZE).expect_err("a missing file");
        assert!(error.to_string().contains("none.png"), "{error}");
        assert!(read(folder.path(), SIZE).is_err(), "a folder is not a picture");
        let path = folder.path().join("text.png");
        fs::write(&path, "text").expect("written");
        let error = read(&path, SIZE).expect_err("it is text");
        assert!(error.to_string().ends_with("text.png: neither PNG nor JPEG"), "{error}");
    }
}
