//! A picture as its file stores it, and the conversion to upright RGB.

use super::Picture;
use super::orientation::Orientation;

/// A decoded picture of 8 bits for each channel, before it is turned upright.
pub(super) struct Stored {
    /// Width and height, in pixels.
    pub size: [u32; 2],
    /// Number of channels: 1 is grey, 2 is grey and opacity, 3 is RGB, 4 is RGB and opacity.
    pub channels: usize,
    /// Samples: `[height, width, channels]`.
    pub samples: Vec<u8>,
    /// Transformation that turns the picture upright.
    pub orientation: Orientation,
}

impl Stored {
    /// Returns the picture upright, with transparent pixels blended with `background`. Grey becomes three equal
    /// channels.
    pub fn upright(self, background: [u8; 3]) -> Picture {
        let Self { size, channels, samples, orientation } = self;
        let rgb = match channels {
            1 => samples.iter().flat_map(|&grey| [grey; 3]).collect(),
            2 => pixels(&samples).flat_map(|[y, a]| blended([y; 3], a, background)).collect(),
            3 => samples,
            _ => pixels(&samples)
                .flat_map(|[r, g, b, a]| blended([r, g, b], a, background))
                .collect(),
        };
        turned(rgb, size, orientation)
    }
}

/// Returns the pixels of a picture with this number of channels.
fn pixels<const CHANNELS: usize>(samples: &[u8]) -> impl Iterator<Item = [u8; CHANNELS]> {
    samples.as_chunks().0.iter().copied()
}

/// Returns `opacity * over + (1 - opacity) * under` in each channel, rounded to the nearest byte, as Pillow's `paste`.
fn blended(over: [u8; 3], opacity: u8, under: [u8; 3]) -> [u8; 3] {
    let [opacity, rest] = [u32::from(opacity), u32::from(255 - opacity)];
    let mix = |c: usize| (u32::from(over[c]) * opacity + u32::from(under[c]) * rest + 127) / 255;
    [0, 1, 2].map(|c| mix(c) as u8)
}

/// Turns an RGB picture upright. `stored` is the stored picture's width and height.
fn turned(rgb: Vec<u8>, stored: [u32; 2], orientation: Orientation) -> Picture {
    let [width, height] = stored;
    let [wide, high] = if orientation.is_on_its_side() { [height, width] } else { [width, height] };
    let size = [high as usize, wide as usize];
    if orientation == Orientation::default() {
        return Picture { size, rgb };
    }
    let (pixels, _) = rgb.as_chunks::<3>();
    let index = |at| {
        let [x, y] = orientation.stored(stored, at);
        y as usize * width as usize + x as usize
    };
    let mut out = Vec::with_capacity(rgb.len());
    for y in 0..high {
        out.extend((0..wide).flat_map(|x| pixels[index([x, y])]));
    }
    Picture { size, rgb: out }
}

/// Returns the RGB pixels of a palette's indices. An index behind the palette's end is black, as in Pillow.
pub(super) fn coloured(indices: &[u8], palette: &[[u8; 3]]) -> Vec<u8> {
    let table: Vec<[u8; 3]> =
        (0..256).map(|ix| palette.get(ix).copied().unwrap_or_default()).collect();
    indices.iter().flat_map(|&ix| table[usize::from(ix)]).collect()
}

/// Returns the rows of packed samples of `bits` bits (1, 2, 4 or 8), the first in the highest bits, as one byte for each
/// sample. A row of `width` samples takes `stride` bytes.
pub(super) fn unpacked(packed: &[u8], bits: u32, width: usize, stride: usize) -> Vec<u8> {
    let per_byte = (8 / bits) as usize;
    let mask = u8::MAX >> (8 - bits);
    let sample = |row: &[u8], x: usize| {
        let shift = 8 - bits * (1 + (x % per_byte) as u32);
        (row[x / per_byte] >> shift) & mask
    };
    packed.chunks_exact(stride).flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
}

/// Returns the RGB of a pixel of cyan, magenta, yellow and black inks, as in Pillow: without a colour profile.
pub(super) fn rgb_of_cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let white = u32::from(255 - k);
    [c, m, y].map(|ink| (white - (u32::from(ink) * white + 127) / 255) as u8)
}

pub(super) fn damaged(error: impl std::fmt::Display) -> String {
    format!("cannot be decoded ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_few_bits_are_unpacked_by_row() {
        assert_eq!(unpacked(&[0b1010_0000, 0, 0b0110_0000, 7], 1, 3, 2), [1, 0, 1, 0, 1, 1]);
        assert_eq!(unpacked(&[0x1b, 0xff], 2, 3, 1), [0, 1, 2, 3, 3, 3]);
        assert_eq!(unpacked(&[0x12, 0x30, 0x45, 0x60], 4, 3, 2), [1, 2, 3, 4, 5, 6]);
    }

    /// Tests all eight orientations with pictures of 7x4 and 4x7 pixels.
    #[test]
    fn all_orientations_of_a_picture_give_the_same_upright_picture() {
        for size @ [width, height] in [[7, 4], [4, 7]] {
            let pixels = (0..height).flat_map(|y| (0..width).map(move |x| [x, y]));
            let rgb = |[x, y]: [u32; 2]| [x as u8, y as u8, (x * y) as u8];
            let upright: Vec<u8> = pixels.clone().flat_map(rgb).collect();
            for value in 1..=8 {
                let orientation = Orientation::of_value(value).expect("valid");
                let lies = if value < 5 { size } else { [height, width] };
                let mut samples = vec![0; upright.len()];
                for at in pixels.clone() {
                    let [x, y] = orientation.stored(lies, at);
                    let first = 3 * (y * lies[0] + x) as usize;
                    samples[first..first + 3].copy_from_slice(&rgb(at));
                }
                let picture =
                    Stored { size: lies, channels: 3, samples, orientation }.upright([0; 3]);
                assert_eq!(picture.size, [height as usize, width as usize], "{value}");
                assert_eq!(picture.rgb, upright, "{value}");
            }
        }
    }
}
