//! An IDX file of MNIST's images or labels, gzipped or not. The reader must accept a file whose header is that of images
//! or labels, whose length is the stated one, and whose labels are classes. It must refuse any other file.

use std::io::{Read, Write};
use std::path::Path;

use arbitrary::Arbitrary;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use wgrad::data::idx::{self, N_CLASSES, SIZE};

#[derive(Arbitrary, Debug)]
struct Idx<'a> {
    are_labels: bool,
    /// The label of each image, and the factor from which its pixels are computed.
    images: Vec<(u8, u8)>,
    /// Numbers in the header that replace the right ones: magic number, number of images or labels, rows, columns.
    header: [Option<u32>; 4],
    tail: &'a [u8],
    /// Number of bytes missing at the end.
    cut: u16,
    is_gzipped: bool,
    /// Number of bytes missing at the end of the gzipped file.
    gzip_cut: u8,
}

fn build(idx: Idx<'_>) -> Vec<u8> {
    let images = &idx.images[..idx.images.len().min(8)];
    let (magic, n_axes) = if idx.are_labels { (0x801, 1) } else { (0x803, 3) };
    let right = [magic, images.len() as u32, SIZE.height as u32, SIZE.width as u32];
    let header = right.iter().zip(idx.header).take(1 + n_axes);
    let header = header.flat_map(|(&right, other)| other.unwrap_or(right).to_be_bytes());
    let mut bytes: Vec<u8> = header.collect();
    for &(label, fill) in images {
        match idx.are_labels {
            // Most labels are valid.
            true => bytes.push(if label < 250 { label % N_CLASSES as u8 } else { label }),
            false => bytes.extend((0..SIZE.n_bytes()).map(|k| (k as u8).wrapping_mul(fill))),
        }
    }
    bytes.extend(idx.tail);
    bytes.truncate(bytes.len().saturating_sub(idx.cut.into()));
    if idx.is_gzipped {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(&bytes).expect("memory takes everything");
        bytes = gz.finish().expect("memory takes everything");
        bytes.truncate(bytes.len().saturating_sub(idx.gzip_cut.into()));
    }
    bytes
}

/// Returns the contents of a right file after its header; None for a wrong file. `magic` is the magic number, and `axes`
/// are the lengths of the axes after the first.
fn contents<'a>(bytes: &'a [u8], magic: u32, axes: &[u32]) -> Option<&'a [u8]> {
    let (numbers, contents) = bytes.split_at_checked(8 + 4 * axes.len())?;
    let numbers: Vec<u32> =
        numbers.as_chunks().0.iter().map(|&number| u32::from_be_bytes(number)).collect();
    let n_bytes = numbers[1..].iter().try_fold(1_usize, |n, &of| n.checked_mul(of as usize))?;
    let is_right = numbers[0] == magic && numbers[2..] == *axes && numbers[1] > 0;
    (is_right && contents.len() == n_bytes).then_some(contents)
}

/// Reads a file as images and as labels, and compares the results with the definition of the format.
pub fn run(data: &[u8]) {
    let Some(bytes) = super::file(data, build) else { return };
    let mut unpacked = Vec::new();
    let is_whole = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).is_ok(),
        false => {
            unpacked.clone_from(&bytes);
            true
        }
    };
    let unpacked = Some(&unpacked[..]).filter(|_| is_whole);
    let path = Path::new("an-idx-file");

    let sides = [SIZE.height as u32, SIZE.width as u32];
    let expected = unpacked.and_then(|bytes| contents(bytes, 0x803, &sides));
    let pixels = idx::parse_images(path, &bytes).ok();
    assert!(pixels.as_deref() == expected, "images");

    let are_classes = |labels: &&[u8]| labels.iter().all(|&label| usize::from(label) < N_CLASSES);
    let expected = unpacked.and_then(|bytes| contents(bytes, 0x801, &[])).filter(are_classes);
    let expected = expected.map(|labels| labels.iter().map(|&label| label.into()).collect());
    assert!(idx::parse_labels(path, &bytes).ok() == expected, "labels");
}
