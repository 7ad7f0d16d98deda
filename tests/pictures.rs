//! Pictures of every format are decoded to Pillow's pixels, and mutated files make no decoder panic.
//! `tests/fixtures/pictures/kinds.py` writes the pictures and Pillow's pixels.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

#[path = "pictures/mutations.rs"]
mod mutations;
#[path = "pictures/speed.rs"]
mod speed;

use wgrad::data::image_file::{MAX_PIXELS, Picture, decode_upright};

const BACKGROUND: [u8; 3] = [200, 100, 50];

/// Pictures that Pillow reads and wgrad refuses, with a word of the reason.
const REFUSED: [(&str, &str); 8] = [
    ("gif-no-palette.gif", "no color table"),
    ("tif-F.tif", "32 bits"),
    ("tif-I.tif", "32 bits"),
    ("tif-big-offsets.tif", "BigTIFF"),
    ("tif-fax4.tif", "compression 4"),
    ("tif-lab.tif", "kind 8"),
    ("tif-ycbcr.tif", "kind 6"),
    ("tif-zstd.tif", "compression 50000"),
];

/// Pictures that wgrad reads and Pillow does not, with the cause.
const ONLY_HERE: [(&str, &str); 3] = [
    ("png-odd-exif.png", "damaged Exif data are ignored"),
    ("png-rubbish-behind.png", "everything behind the pixels is optional"),
    (
        "tif-grey-extra1.tif",
        "grey that is multiplied by its opacity is divided by it, as colours are",
    ),
];

/// Returns the files of the archive by their names.
fn archive() -> BTreeMap<String, Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/kinds.tar.gz");
    let file = flate2::read::GzDecoder::new(File::open(path).expect("there"));
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().expect("an archive").map(|entry| {
        let mut entry = entry.expect("whole");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("whole");
        (entry.path().expect("a name").display().to_string(), bytes)
    });
    entries.collect()
}

/// Returns the picture in a file of the format PPM: `P6 width height 255`, then the pixels.
fn of_ppm(bytes: &[u8]) -> Picture {
    let end = bytes.iter().position(|&byte| byte == b'\n').expect("a header");
    let head = str::from_utf8(&bytes[..end]).expect("text");
    let numbers: Vec<usize> = head.split(' ').filter_map(|word| word.parse().ok()).collect();
    Picture { size: [numbers[1], numbers[0]], rgb: bytes[end + 1..].to_vec() }
}

/// Checks that the picture `found` in the file `name` equals `expected`: to the byte, or within 3 levels and 0.5 on
/// average where a JPEG is decoded.
///
/// # Errors
/// If the pictures differ. The error is a message.
fn are_equal(name: &str, found: &Picture, expected: &Picture) -> Result<(), String> {
    if found.size != expected.size {
        return Err(format!("the size is {:?}, not {:?}", found.size, expected.size));
    }
    let differences = || found.rgb.iter().zip(&expected.rgb).map(|(a, b)| a.abs_diff(*b));
    let largest = differences().max().unwrap_or(0);
    let sum: u64 = differences().map(u64::from).sum();
    let mean = sum as f64 / found.rgb.len() as f64;
    let is_lossy = name.contains("jpeg") || name.starts_with("jpg");
    match largest == 0 || (is_lossy && largest <= 3 && mean < 0.5) {
        true => Ok(()),
        false => Err(format!("off by up to {largest}, {mean:.3} on average")),
    }
}

/// Phones and editors write such files. A decoder that keeps texts in memory has a limit on them.
#[test]
fn long_texts_of_a_png_do_not_matter() {
    let files = archive();
    let original = &files["png-no-end.png"];
    let mut text = b"tEXtnote\0".to_vec();
    text.resize(20 << 20, b'x');
    let mut crc = flate2::Crc::new();
    crc.update(&text);
    let length = (text.len() as u32 - 4).to_be_bytes();
    let chunk = [&length[..], &text, &crc.sum().to_be_bytes()].concat();
    // The chunk of the size ends at byte 33.
    let in_front = [&original[..33], &chunk, &original[33..]].concat();
    let behind = [&original[..], &chunk].concat();
    let expected = Ok(of_ppm(&files["png-no-end.png.ppm"]));
    for bytes in [in_front, behind] {
        assert_eq!(decode_upright(&bytes, BACKGROUND, MAX_PIXELS), expected);
    }
}

#[test]
fn pictures_equal_those_of_pillow() {
    let files = archive();
    let mut failures = Vec::new();
    let mut n = 0;
    for (name, bytes) in files.iter().filter(|(name, _)| !name.ends_with(".ppm")) {
        let found = decode_upright(bytes, BACKGROUND, MAX_PIXELS);
        let expected = files.get(&format!("{name}.ppm")).map(|ppm| of_ppm(ppm));
        let listed = |list: &[(&'static str, &'static str)]| {
            list.iter().find(|(listed, _)| listed == name).map(|(_, word)| *word)
        };
        n += 1;
        let problem = match (found, expected) {
            (Ok(found), Some(expected)) => are_equal(name, &found, &expected).err(),
            (Err(reason), Some(_)) => match listed(&REFUSED) {
                Some(word) if reason.contains(word) => None,
                _ => Some(reason),
            },
            (Ok(_), None) if listed(&ONLY_HERE).is_none() => Some("Pillow refuses it".to_string()),
            (Ok(_) | Err(_), None) => None,
        };
        failures.extend(problem.map(|problem| format!("{name}: {problem}")));
    }
    assert!(failures.is_empty(), "{} of {n}:\n{}", failures.len(), failures.join("\n"));
}
