//! Pictures of maps and images, and their bytes as numbers of a record.

use wgrad::data::Split;
use wgrad::report::picture::Picture;

use super::field::Field;

/// The number of bytes in a number of a record, which has 53 bits for whole numbers.
const PACKED: usize = 6;

/// Returns a map as a picture in grey: its number of columns, and then numbers in 0..=1. Brightness is the square root of
/// the number.
pub fn grey(map: &[f64]) -> Picture {
    let (columns, map) = (map[0] as usize, &map[1..]);
    let level = |value: &f64| [(255.0 * value.sqrt()).round() as u8; 3];
    Picture::new(columns, map.len() / columns, map.iter().flat_map(level).collect())
}

/// Returns the bytes of a picture, `[height, width, 3]`, as numbers of a record: the width, the number of bytes, and the
/// bytes.
pub fn packed(width: usize, rgb: &[u8]) -> Vec<f64> {
    let number =
        |bytes: &[u8]| bytes.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    let numbers = rgb.chunks(PACKED).map(|bytes| number(bytes) as f64);
    [width as f64, rgb.len() as f64].into_iter().chain(numbers).collect()
}

/// Returns the picture whose bytes [`packed`] has packed.
pub fn unpacked(numbers: &[f64]) -> Picture {
    let (width, n_bytes) = (numbers[0] as usize, numbers[1] as usize);
    let mut rgb = Vec::with_capacity(n_bytes);
    for &number in &numbers[2..] {
        let bytes = (number as u64).to_be_bytes();
        let n = PACKED.min(n_bytes - rgb.len());
        rgb.extend(&bytes[8 - n..]);
    }
    Picture::new(width, n_bytes / (3 * width), rgb)
}

/// Returns the pixels of an image in a field as bytes, `[rows, columns, 3]`. Pixels outside the image are grey. A field that
/// is larger than the image gives the whole image.
pub fn patch(split: &Split, image: usize, field: &Field) -> (usize, Vec<u8>) {
    let [h, w, c] = split.size.channels_last();
    let [rows, columns] = [0, 1].map(|axis| {
        let ([first, last], extent) = (field[axis], [h, w][axis] as i64);
        if last - first >= extent { 0..extent } else { first..last + 1 }
    });
    let (planes, width) = (split.image(image), columns.clone().count());
    let mut rgb = Vec::new();
    for row in rows {
        for column in columns.clone() {
            let is_inside = (0..h as i64).contains(&row) && (0..w as i64).contains(&column);
            rgb.extend((0..3).map(|channel| match is_inside {
                true => planes[(channel.min(c - 1) * h + row as usize) * w + column as usize],
                false => 128,
            }));
        }
    }
    (width, rgb)
}

/// Returns pictures of one size, `[rows, columns, 3]`, side by side in rows of `n`, with a line of grey between them.
pub fn sheet(n: usize, width: usize, pictures: &[Vec<u8>]) -> (usize, Vec<u8>) {
    let height = pictures.first().map_or(0, |rgb| rgb.len() / (3 * width));
    let (rows, side) = (pictures.len().div_ceil(n), n * (width + 1) - 1);
    let mut rgb = vec![128; 3 * side * (rows * (height + 1) - 1)];
    for (ix, picture) in pictures.iter().enumerate() {
        for (row, pixels) in picture.chunks_exact(3 * width).enumerate() {
            let start = (ix / n * (height + 1) + row) * side + ix % n * (width + 1);
            rgb[3 * start..][..3 * width].copy_from_slice(pixels);
        }
    }
    (side, rgb)
}
