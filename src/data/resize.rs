//! Resizes pictures with the bilinear (triangle) filter and antialiasing, to the same bytes as Pillow's
//! `Image.resize` with `Resampling.BILINEAR`, which torchvision's `Resize` uses.
//!
//! An output pixel is a weighted mean of input pixels. The weights form a triangle around the centre of the output
//! pixel. The base of the triangle is two output pixels wide, but at least two input pixels, so every input pixel has a
//! weight. A weight is an integer, in units of 2^-22. Rows are resized first, then columns; bytes are rounded after
//! each of the two.

use std::ops::Range;

/// The number of binary digits of a weight behind the point.
const PRECISION: u32 = 22;

/// A part of a resized picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Row and column of the part's first pixel.
    pub first: [usize; 2],
    /// Numbers of rows and columns.
    pub size: [usize; 2],
}

/// Scales a picture of `[rows, columns, channels]` bytes. `from` and `to` are the numbers of rows and columns before and
/// after.
///
/// # Panics
/// If there are neither one channel nor three, or `pixels` has another length.
pub(super) fn resize(pixels: &[u8], channels: usize, from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    resize_part(pixels, channels, from, to, Part { first: [0; 2], size: to })
}

/// Returns a part of the picture that [`resize`] returns, and computes only this part.
///
/// # Panics
/// If there are neither one channel nor three, `pixels` has another length, or the part is not inside the picture.
pub(super) fn resize_part(
    pixels: &[u8],
    channels: usize,
    from: [usize; 2],
    to: [usize; 2],
    part: Part,
) -> Vec<u8> {
    assert_eq!(pixels.len(), from[0] * from[1] * channels, "[rows, columns, channels] bytes");
    let Part { first: [top, left], size: [rows, columns] } = part;
    let of_rows = Windows::new(from[0], to[0], top..top + rows);
    let of_columns = Windows::new(from[1], to[1], left..left + columns);
    let read = of_rows.read();
    let input = &pixels[read.start * from[1] * channels..read.end * from[1] * channels];
    let squeezed = match channels {
        1 => along_rows::<1>(input, from[1], &of_columns),
        3 => along_rows::<3>(input, from[1], &of_columns),
        n => panic!("a picture of {n} channels"),
    };
    along_columns(&squeezed, columns * channels, read.start, &of_rows)
}

/// Resizes each row. `length` is the number of pixels of a row.
fn along_rows<const CHANNELS: usize>(pixels: &[u8], length: usize, windows: &Windows) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<CHANNELS>();
    let mut out = Vec::with_capacity(pixels.len() / length * windows.firsts.len() * CHANNELS);
    for row in pixels.chunks_exact(length) {
        for (first, weights) in windows.iter() {
            let mut sums = [1 << (PRECISION - 1); CHANNELS];
            for (pixel, weight) in row[first..first + weights.len()].iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            out.extend(sums.map(byte));
        }
    }
    out
}

/// Resizes each column. `length` is the number of bytes of a row, and `offset` the number of the first row in `pixels`.
fn along_columns(pixels: &[u8], length: usize, offset: usize, windows: &Windows) -> Vec<u8> {
    let mut out = Vec::with_capacity(windows.firsts.len() * length);
    let mut sums = vec![0; length];
    for (first, weights) in windows.iter() {
        sums.fill(1 << (PRECISION - 1));
        let rows = pixels[(first - offset) * length..].chunks_exact(length);
        for (row, &weight) in rows.zip(weights).filter(|(_, weight)| **weight != 0) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| byte(sum)));
    }
    out
}

/// Returns a sum of weighted bytes as a byte. The weights of a window sum to 1, up to rounding, and none is negative.
fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).min(255) as u8
}

/// The input pixels of each output pixel, along one axis.
struct Windows {
    /// Index of each window's first input pixel.
    firsts: Vec<usize>,
    /// Number of weights of each window.
    lengths: Vec<usize>,
    /// Weights of all windows, `[windows, stride]`, in units of 2^-22.
    weights: Vec<i32>,
    /// Number of weights of the largest window.
    stride: usize,
}

impl Windows {
    /// Returns the windows of the output pixels `part`, where `from` pixels become `to` pixels.
    fn new(from: usize, to: usize, part: Range<usize>) -> Self {
        assert!(part.end <= to, "pixels {part:?} of {to}");
        let ratio = from as f64 / to as f64;
        let support = ratio.max(1.0);
        let stride = 2 * support.ceil() as usize + 1;
        let n = part.len();
        let (mut firsts, mut lengths) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut weights = vec![0; n * stride];
        let mut triangle = Vec::with_capacity(stride);
        for (ix, out) in part.zip(weights.chunks_exact_mut(stride)) {
            // Pixel `k` covers the interval from k to k + 1.
            let centre = (ix as f64 + 0.5) * ratio;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let distance = |k: usize| ((k as f64 - centre + 0.5) * (1.0 / support)).abs();
            triangle.clear();
            triangle.extend((first..end).map(|k| (1.0 - distance(k)).max(0.0)));
            let sum: f64 = triangle.iter().sum();
            for (weight, value) in out.iter_mut().zip(&triangle) {
                *weight = (0.5 + value / sum * f64::from(1 << PRECISION)) as i32;
            }
            firsts.push(first);
            lengths.push(end - first);
        }
        Self { firsts, lengths, weights, stride }
    }

    /// Returns the first input pixel and the weights of each window.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let windows = self.firsts.iter().zip(&self.lengths);
        let weights = self.weights.chunks_exact(self.stride);
        windows.zip(weights).map(|((&first, &length), weights)| (first, &weights[..length]))
    }

    /// Returns the input pixels that any window reads.
    fn read(&self) -> Range<usize> {
        let ends = self.firsts.iter().zip(&self.lengths).map(|(first, length)| first + length);
        self.firsts.first().copied().unwrap_or(0)..ends.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_one_colour_keeps_its_colour_in_every_size() {
        for from in [1, 2, 5, 31, 32, 33, 64, 100] {
            let pixels = [7, 130, 255].repeat(from * from);
            assert_eq!(
                resize(&pixels, 3, [from; 2], [32; 2]),
                [7, 130, 255].repeat(32 * 32),
                "{from}"
            );
        }
    }

    #[test]
    fn windows_cover_every_pixel_and_weights_sum_to_1() {
        for from in [1, 3, 32, 47, 500] {
            let windows = Windows::new(from, 32, 0..32);
            assert_eq!(windows.read(), 0..from);
            for (_, weights) in windows.iter() {
                let sum: i32 = weights.iter().sum();
                assert!((sum - (1 << PRECISION)).abs() <= weights.len() as i32, "{from}: {sum}");
            }
        }
        // When 8 pixels become 4, the centre of a triangle is between two input pixels, and the triangle reaches 2
        // input pixels to each side.
        let halved = Windows::new(8, 4, 1..2);
        let eighth = 1 << (PRECISION - 3);
        assert_eq!(halved.iter().next(), Some((1, &[eighth, 3 * eighth, 3 * eighth, eighth][..])));
    }

    #[test]
    fn a_part_equals_that_part_of_the_whole() {
        let from = [37, 52];
        let pixels: Vec<u8> = (0..37 * 52 * 3).map(|k: u32| (k * k / 7) as u8).collect();
        for to in [[20, 31], [37, 52], [90, 11]] {
            let whole = resize(&pixels, 3, from, to);
            let part = Part { first: [to[0] / 3, 2], size: [to[0] / 2, 7] };
            let rows = whole.chunks_exact(3 * to[1]).skip(part.first[0]).take(part.size[0]);
            let expected: Vec<u8> = rows.flat_map(|row| &row[3 * 2..3 * 9]).copied().collect();
            assert_eq!(resize_part(&pixels, 3, from, to, part), expected, "{to:?}");
        }
        assert_eq!(resize(&pixels, 3, from, from), pixels);
    }
}
