//! The formats of pictures, by the first bytes of a file and by the ending of its name.

use std::path::Path;

use super::stored::Stored;
use super::{Check, bmp, gif, jpeg, png, tiff, webp};

/// The endings of file names, in lower case.
const ENDINGS: [&str; 10] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "gif", "tif", "tiff"];

/// The endings of the names of pictures that are refused, in lower case.
const REFUSED_ENDINGS: [&str; 3] = ["heic", "heif", "avif"];

/// Decodes a picture of one format.
type Reader = fn(&[u8], Check) -> Result<Stored, String>;

/// The first bytes of the formats that are read.
const READERS: [(&[u8], Reader); 9] = [
    (png::SIGNATURE, png::read),
    (b"\xff\xd8\xff", jpeg::read),
    (b"GIF8", gif::read),
    (b"BM", bmp::read),
    (b"II*\0", tiff::read),
    (b"MM\0*", tiff::read),
    (b"II+\0", tiff::refuse_big),
    (b"MM\0+", tiff::refuse_big),
    (b"RIFF", webp::read),
];

/// The brands of formats that consist of boxes, the name of the format, and a command that converts it.
const BRANDS: [(&[&[u8; 4]], &str, &str); 2] = [
    (&[b"avif", b"avis"], "AVIF", "avifdec picture.avif picture.png"),
    (
        &[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"],
        "HEIC",
        "heif-convert picture.heic picture.jpg",
    ),
];

/// Returns the decoder for a file with these bytes.
///
/// # Errors
/// If the file is of no format that is read. The error is a message.
pub(super) fn reader(bytes: &[u8]) -> Result<Reader, String> {
    if let Some((_, reader)) = READERS.iter().find(|(head, _)| bytes.starts_with(head)) {
        return Ok(*reader);
    }
    if bytes.is_empty() {
        return Err("an empty file".to_string());
    }
    // A box has a length, the name `ftyp`, a brand, a version, and more brands.
    if bytes.get(4..8) == Some(b"ftyp") {
        let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let (brands, _) = bytes[8..bytes.len().min(length.max(12))].as_chunks::<4>();
        let is_of = |names: &[&[u8; 4]]| brands.iter().any(|brand| names.contains(&brand));
        if let Some((_, name, command)) = BRANDS.iter().find(|(names, ..)| is_of(names)) {
            return Err(format!(
                "a picture of the format {name}, which is not read; convert it with `{command}`, or with ImageMagick's \
                 `magick`"
            ));
        }
    }
    Err("neither PNG nor JPEG, WebP, GIF, BMP or TIFF".to_string())
}

/// Returns true if a file's name has the ending of a picture, such as `.png` or `.JPG`, and does not begin with a dot.
pub fn is_picture_name(path: &Path) -> bool {
    has_ending(path, &ENDINGS)
}

/// Returns true for the names of [`is_picture_name`], and for those of formats of phones, which the reader refuses with a
/// reason.
pub fn is_named_as_picture(path: &Path) -> bool {
    is_picture_name(path) || has_ending(path, &REFUSED_ENDINGS)
}

/// Returns true if the name of a file or folder begins with a dot.
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    !is_hidden(path) && endings.iter().any(|known| ending == *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_phones_are_refused_with_a_command() {
        for (bytes, words) in [
            (&b"\0\0\0\x1cftypavif\0\0\0\0mif1miaf"[..], ["AVIF", "avifdec"]),
            (b"\0\0\0\x1cftypmif1\0\0\0\0avifmiaf", ["AVIF", "avifdec"]),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ["HEIC", "heif-convert"]),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", ["neither", "PNG"]),
            (b"\0\0\0\0ftyp", ["neither", "PNG"]),
            (b"", ["empty", "file"]),
        ] {
            let error = reader(bytes).expect_err("refused");
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn names_of_pictures_are_recognised() {
        for name in ["a.png", "b.JPG", "ä ö.jpeg", "x.y.Tif", "..webp.bmp.gif"] {
            let is_picture = is_picture_name(Path::new(name));
            assert_eq!(is_picture, !name.starts_with('.'), "{name}");
        }
        for name in ["png", ".png", "a.txt", "a.png.txt", "a", ""] {
            assert!(!is_picture_name(Path::new(name)), "{name}");
        }
    }
}
