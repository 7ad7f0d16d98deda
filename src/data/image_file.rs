//! Reads pictures of the usual formats and of any size, and converts them to the network's input.
//!
//! ```text
//! file --decode--> picture --over the background--turn upright--resize--cut the centre--> [C, H, W] bytes
//! ```
//!
//! The picture equals that of Pillow's `ImageOps.exif_transpose(Image.open(file)).convert("RGB")`, and a test compares
//! the two: in lossless formats to the byte, in a JPEG within 3 levels. As in an image viewer, the camera's orientation
//! is applied, transparent pixels are blended with a background, and an animation gives its first frame. A grey picture
//! becomes three equal channels. Channels of 16 bits keep their upper 8 bits. Colour profiles are ignored.
//!
//! The conversion to the network's input ([`Picture::input`]) follows torchvision's evaluation: `Resize` of the shorter
//! side with the bilinear (triangle) filter and antialiasing, then `CenterCrop`. Pictures of a dataset in folders are
//! evaluated with the same function, so a prediction has the logits of the evaluation. A colour picture becomes grey if
//! the input has one channel.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::ImageSize;
use crate::base::shown::Shown;

mod background;
mod bmp;
mod conversion;
mod folder;
mod formats;
mod gif;
mod jpeg;
mod orientation;
mod png;
mod stored;
mod tiff;
mod webp;

pub use background::Background;
pub use conversion::{MAX_SIDE, shown_part, with_border};
pub use folder::files_below;
pub use folder::pictures_below;
pub use formats::is_picture_name;
pub use formats::{is_hidden, is_named_as_picture};

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The largest number of pixels of a picture. A file of a few kilobytes can claim any size, and decoding takes up to 8
/// bytes of memory for each pixel.
pub const MAX_PIXELS: u64 = 1 << 27;

/// Tests width and height of a picture before memory is allocated for its pixels.
type Check<'a> = &'a dyn Fn([u32; 2]) -> Result<(), String>;

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
/// [`Split`](super::Split). Transparent pixels are blended with `background`.
///
/// # Errors
/// If the file cannot be read, or is not a complete picture of at most [`MAX_PIXELS`] pixels.
pub fn read(path: &Path, size: ImageSize, background: [u8; 3]) -> Result<Vec<u8>, ImageFileError> {
    let io = |source| ImageFileError::Io { path: path.to_path_buf(), source };
    read_from(File::open(path).map_err(io)?, path, size, background)
}

/// Reads a picture like [`read`], from any input. Errors name the input `path`.
///
/// # Errors
/// Those of [`read`].
pub fn read_from(
    input: impl Read,
    path: &Path,
    size: ImageSize,
    background: [u8; 3],
) -> Result<Vec<u8>, ImageFileError> {
    let io = |source| ImageFileError::Io { path: path.to_path_buf(), source };
    let bytes = bytes_of(input).map_err(io)?;
    let result = bytes.and_then(|bytes| decode(&bytes, size, background, MAX_PIXELS));
    result.map_err(|reason| ImageFileError::Unusable { path: path.to_path_buf(), reason })
}

/// Reads an input to its end. The inner error is a message about an input that is too large for a picture.
///
/// # Errors
/// If the input cannot be read.
pub fn bytes_of(input: impl Read) -> io::Result<Result<Vec<u8>, String>> {
    let mut bytes = Vec::new();
    let n = input.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)? as u64;
    Ok(match n > MAX_FILE_BYTES {
        true => Err(format!("larger than {} MiB", MAX_FILE_BYTES >> 20)),
        false => Ok(bytes),
    })
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
    let check = |size| check_size(size, max_pixels);
    Ok(formats::reader(bytes)?(bytes, &check)?.upright(background))
}

/// Decodes a picture from the bytes of a file, and returns an image of the size `size`, `[C, H, W]` bytes. Transparent
/// pixels are blended with `background`.
///
/// # Errors
/// If the bytes are not a complete picture of at most `max_pixels` pixels. The error is a message.
///
/// # Panics
/// If the size has neither one channel nor three.
pub fn decode(
    bytes: &[u8],
    size: ImageSize,
    background: [u8; 3],
    max_pixels: u64,
) -> Result<Vec<u8>, String> {
    Ok(decode_upright(bytes, background, max_pixels)?.input(size))
}

fn check_size([width, height]: [u32; 2], max_pixels: u64) -> Result<(), String> {
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(format!(
            "has {width}x{height} pixels; the limit is {max_pixels} pixels in all"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const WHITE: [u8; 3] = [255; 3];
    const SIZE: ImageSize = ImageSize { height: 32, width: 32, channels: 3 };

    fn fixture(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
        fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn decoded(name: &str) -> Vec<u8> {
        decode(&fixture(name), SIZE, WHITE, MAX_PIXELS)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
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
            ("wide.png", 0, 0.0),
            ("tall_alpha.png", 1, 0.3),
            ("palette.png", 0, 0.0),
            ("grey16.png", 0, 0.0),
            ("small.png", 0, 0.0),
            ("small.bmp", 0, 0.0),
            ("small.gif", 0, 0.0),
            ("small.webp", 0, 0.0),
            ("small.tif", 0, 0.0),
            ("turned.png", 0, 0.0),
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

    #[test]
    fn files_that_claim_too_many_pixels_are_refused() {
        // The header claims 100,000 x 100,000 pixels, which is 30 GB as RGB.
        for (bytes, word) in [
            (png_of(100_000, 100_000), "100000x100000"),
            (png_of(u32::MAX >> 1, u32::MAX >> 1), "2147483647"),
            (jpeg_of(65_500, 65_500), "65500x65500"),
        ] {
            let error = decode(&bytes, SIZE, WHITE, MAX_PIXELS).expect_err("too large");
            assert!(error.contains(word), "{error}");
        }
        let error = decode(&fixture("wide.png"), SIZE, WHITE, 100).expect_err("too large");
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
            let error = decode(&bytes, SIZE, WHITE, MAX_PIXELS).expect_err("a broken colour");
            assert!(error.contains(&format!("palette of {length} bytes")), "{error}");
        }
    }

    #[test]
    fn incomplete_pictures_are_refused() {
        for (bytes, word) in [
            (Vec::new(), "empty"),
            (b"hello".to_vec(), "neither"),
            (b"GIF89a\x01\x00\x01\x00\x00\x00\x00".to_vec(), "decoded"),
            (fixture("wide.png")[..200].to_vec(), "decoded"),
            (fixture("wide.png")[..8].to_vec(), "decoded"),
            (fixture("wide.jpg")[..700].to_vec(), "ends before"),
            (fixture("turned.jpg")[..900].to_vec(), "ends before"),
            (b"\xff\xd8\xff\xd9".to_vec(), "decoded"),
        ] {
            let error = decode(&bytes, SIZE, WHITE, MAX_PIXELS).expect_err(word);
            assert!(error.contains(word), "{error}");
        }
        // Bytes after the end marker, which phones append, are ignored.
        let more = [&fixture("wide.jpg")[..], b"a film"].concat();
        assert_eq!(decode(&more, SIZE, WHITE, MAX_PIXELS), Ok(decoded("wide.jpg")));
    }

    #[test]
    fn files_are_named_in_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = read(&folder.path().join("none.png"), SIZE, WHITE).expect_err("a missing file");
        assert!(error.to_string().contains("none.png"), "{error}");
        assert!(read(folder.path(), SIZE, WHITE).is_err(), "a folder is not a picture");
        let path = folder.path().join("text.png");
        fs::write(&path, "text").expect("written");
        let error = read(&path, SIZE, WHITE).expect_err("it is text");
        assert!(error.to_string().contains("text.png: neither PNG nor JPEG"), "{error}");
    }
}
