//! Conversions of an upright picture: to the input of a network, and to the whole picture that training crops.

use super::Picture;
use crate::data::ImageSize;
use crate::data::resize::{Part, resize, resize_part};

/// The largest side of a picture from [`Picture::whole`], in pixels.
pub const MAX_SIDE: usize = 4096;

/// The largest side of an input that is resized without a border around the central crop.
const LARGEST_WITHOUT_BORDER: usize = 64;

/// Returns the length to which the shorter side of a picture is resized, for an input of `side` rows and columns:
/// 8/7 of `side`, so 256 for 224, as in torchvision's evaluation.
pub fn with_border(side: usize) -> usize {
    (side * 8 + 3) / 7
}

impl Picture {
    /// Returns the input of a network for this picture, `[C, H, W]` bytes, by torchvision's rule for evaluations:
    /// `Resize`, then `CenterCrop`. For inputs above 64 pixels, 1/16 of the resized shorter side is cut off at each end;
    /// for smaller inputs, nothing of the shorter side is. A picture of exactly the input's size stays as it is.
    ///
    /// # Panics
    /// If the size has neither one channel nor three.
    pub fn input(&self, size: ImageSize) -> Vec<u8> {
        let side = [size.height, size.width];
        match self.size == side {
            true => planar(&self.rgb, size.channels),
            false => planar(&self.evaluated(cover(side), side), size.channels),
        }
    }

    /// Returns the picture resized to `to` rows and columns.
    pub fn resized(&self, to: [usize; 2]) -> Self {
        Self { size: to, rgb: resize(&self.rgb, 3, self.size, to) }
    }

    /// Resizes the picture to the smallest size of its proportions that covers `cover` rows and columns, and returns the
    /// central `side` rows and columns, `[H, W, 3]` bytes. For squares, these are torchvision's `Resize(cover)` and
    /// `CenterCrop(side)`.
    ///
    /// # Panics
    /// If `side` is larger than `cover`.
    pub fn evaluated(&self, cover: [usize; 2], side: [usize; 2]) -> Vec<u8> {
        let to = covering(self.size, cover);
        let first = [margin(to[0] - side[0]), margin(to[1] - side[1])];
        resize_part(&self.rgb, 3, self.size, to, Part { first, size: side })
    }

    /// Returns the size and the bytes, `[3, H, W]`, of the picture that training crops at random to `side` rows and
    /// columns. The shorter side is resized to [`with_border`] if it is longer. The longer side is at most twice as long
    /// as the shorter side; a longer picture loses both ends. No side is longer than [`MAX_SIDE`].
    pub fn whole(self, side: usize) -> (ImageSize, Vec<u8>) {
        let short = self.size[0].min(self.size[1]);
        let short_to = with_border(side).min(short).min(MAX_SIDE);
        let long_to = (2 * short_to).min(MAX_SIDE);
        let longest = scaled(short, long_to, short_to);
        let kept = self.size.map(|length| length.min(longest));
        let picture = self.cropped(kept);
        let to = kept.map(|length| match length == short {
            true => short_to,
            false => scaled(length, short_to, short),
        });
        let size = ImageSize { height: to[0], width: to[1], channels: 3 };
        match to == picture.size {
            true => (size, planar(&picture.rgb, 3)),
            false => (size, planar(&resize(&picture.rgb, 3, picture.size, to), 3)),
        }
    }

    /// Returns the central part of this size.
    fn cropped(self, size: [usize; 2]) -> Self {
        if size == self.size {
            return self;
        }
        let [rows, columns] = self.size;
        let [top, left] = [margin(rows - size[0]), margin(columns - size[1])];
        let kept = self.rgb.chunks_exact(3 * columns).skip(top).take(size[0]);
        let kept = kept.flat_map(|row| &row[3 * left..3 * (left + size[1])]);
        Self { size, rgb: kept.copied().collect() }
    }
}

/// Returns the parts of the rows and of the columns of a picture of `rows` and `columns` that [`Picture::input`] shows of
/// it, from 0 to 1. The part is central.
pub fn shown_part([rows, columns]: [usize; 2], input: ImageSize) -> [f64; 2] {
    let side = [input.height, input.width];
    if side == [rows, columns] {
        return [1.0, 1.0];
    }
    let to = covering([rows, columns], cover(side));
    [side[0] as f64 / to[0] as f64, side[1] as f64 / to[1] as f64]
}

/// Returns the rows and columns that a resized picture covers before the input of `side` rows and columns is cut out.
fn cover(side: [usize; 2]) -> [usize; 2] {
    let is_small = side.iter().all(|&side| side <= LARGEST_WITHOUT_BORDER);
    if is_small { side } else { side.map(with_border) }
}

/// Returns the smallest size with the proportions of a picture of `rows` and `columns` that covers `cover`.
fn covering([rows, columns]: [usize; 2], cover: [usize; 2]) -> [usize; 2] {
    match rows as u64 * cover[1] as u64 <= columns as u64 * cover[0] as u64 {
        true => [cover[0], scaled(columns, cover[0], rows)],
        false => [scaled(rows, cover[1], columns), cover[1]],
    }
}

/// Returns `length * by / of`, rounded down as torchvision does it. The factors are below 2^32.
fn scaled(length: usize, by: usize, of: usize) -> usize {
    (length as u64 * by as u64 / of as u64) as usize
}

/// Returns half of `length`. Half of an odd length is rounded to the even number, as Python's `round` does in
/// torchvision.
fn margin(length: usize) -> usize {
    (length as f64 / 2.0).round_ties_even() as usize
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a picture whose red is the column and whose green is the row.
    fn picture(rows: usize, columns: usize) -> Picture {
        let pixel = |ix: usize| [(ix % columns) as u8, (ix / columns) as u8, 9];
        Picture { size: [rows, columns], rgb: (0..rows * columns).flat_map(pixel).collect() }
    }

    fn size(height: usize, width: usize) -> ImageSize {
        ImageSize { height, width, channels: 3 }
    }

    /// A margin of 3 pixels has 2 of them on the left, and a margin of 5 pixels has 2.
    #[test]
    fn the_centre_is_that_of_torchvision() {
        for (columns, first) in [(4, 0), (5, 0), (6, 1), (7, 2), (9, 2), (11, 4)] {
            assert_eq!(picture(4, columns).input(size(4, 4))[0], first, "{columns}");
        }
    }

    #[test]
    fn an_input_may_have_any_proportions_and_one_channel() {
        let rgb = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]].concat();
        let square = Picture { size: [2, 2], rgb };
        assert_eq!(planar(&square.rgb, 1), [76, 150, 29, 9]);
        for (rows, columns) in [(2, 2), (37, 61), (61, 37), (1, 500)] {
            for of in [size(20, 24), size(100, 65), ImageSize { channels: 1, ..size(24, 20) }] {
                assert_eq!(picture(rows, columns).input(of).len(), of.n_bytes());
            }
        }
    }

    #[test]
    fn a_picture_of_the_inputs_size_stays_as_it_is() {
        for side in [32, 64, 96] {
            let picture = picture(side, side);
            assert_eq!(picture.input(size(side, side)), planar(&picture.rgb, 3), "{side}");
        }
    }

    /// Above 64 pixels, the shorter side is resized to 8/7 of the input.
    #[test]
    fn large_inputs_have_a_border() {
        assert_eq!([224, 65, 128, 96, 112].map(with_border), [256, 74, 146, 110, 128]);
        let red = |side: usize| picture(128, 128).input(size(side, side))[0];
        assert_eq!((red(64), red(112)), (1, 8));
    }

    #[test]
    fn the_shown_part_is_central() {
        assert_eq!(shown_part([32, 32], size(32, 32)), [1.0, 1.0]);
        assert_eq!(shown_part([32, 64], size(32, 32)), [1.0, 0.5]);
        assert_eq!(shown_part([300, 100], size(64, 64)), [64.0 / 192.0, 1.0]);
        assert_eq!(shown_part([300, 300], size(224, 224)), [0.875, 0.875]);
        assert_eq!(shown_part([224, 224], size(224, 224)), [1.0, 1.0]);
    }

    #[test]
    fn whole_pictures_are_made_smaller_and_never_larger() {
        for (rows, columns, side, expected) in [
            (300, 400, 224, (256, 341)),
            (100, 120, 224, (100, 120)),
            (512, 512, 224, (256, 256)),
            (10, 30_000, 224, (10, 20)),
            (900, 300, 32, (74, 37)),
            (1, 5, 32, (1, 2)),
        ] {
            let (size, bytes) = picture(rows, columns).whole(side);
            assert_eq!((size.height, size.width), expected, "{rows}x{columns} for {side}");
            assert_eq!(bytes.len(), size.n_bytes());
        }
        let (size, bytes) = picture(10, 30_000).whole(224);
        let first = (30_000 - 20) / 2;
        assert_eq!((size.width, bytes[0]), (20, (first % 30_000) as u8));
        let (size, _) = picture(5000, 5000).whole(5000);
        assert_eq!((size.height, size.width), (MAX_SIDE, MAX_SIDE));
    }
}
