//! Random boxes in images, as torchvision draws them for `RandomResizedCrop` and `RandomErasing`. A box has a uniform
//! part of the image's area, and the logarithm of its width divided by its height is uniform. All arithmetic is on
//! integers, so the boxes are the same on every device.
//!
//! This file is the reference of `shaders/shared/random_box.wgsl`. Derivation: `docs/ops/random_resized_crop.md`.

use super::philox::{below, philox};
use crate::kernel::Shader;

/// The least ratio of width to height that a box may have.
pub const LEAST_RATIO: f64 = 0.05;
/// The largest ratio of width to height that a box may have.
pub const MOST_RATIO: f64 = 20.0;

/// The number of boxes that are drawn for an image until one fits.
pub const N_ATTEMPTS: u32 = 10;

/// The distribution of the boxes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BoxRange {
    /// The least and the largest part of the image's area, above 0 and up to 1.
    pub scale: [f64; 2],
    /// The least and the largest ratio of width to height, from [`LEAST_RATIO`] to [`MOST_RATIO`].
    pub ratio: [f64; 2],
}

impl BoxRange {
    /// Returns the distribution if its numbers are in their ranges.
    ///
    /// # Panics
    /// If they are not.
    pub fn checked(self) -> Self {
        let [least, most] = self.scale;
        assert!(0.0 < least && least <= most && most <= 1.0, "scale {:?}", self.scale);
        let [least, most] = self.ratio;
        let is_ratio = LEAST_RATIO <= least && least <= most && most <= MOST_RATIO;
        assert!(is_ratio, "ratio {:?}", self.ratio);
        self
    }

    /// Returns the distribution in integers, of boxes with at least `least_side` rows and columns, from a random stream.
    pub fn boxes(self, least_side: u32, stream: u32) -> RandomBox {
        let [least_part, most_part] = self.scale.map(|part| (part * PART_UNIT).round() as u32);
        let [least_power, most_power] =
            self.ratio.map(|ratio| ((ratio.log2() + 5.0) * POWER_UNIT).round() as u32);
        RandomBox {
            least_part,
            n_parts: most_part - least_part + 1,
            least_power,
            n_powers: most_power - least_power + 1,
            least_side,
            stream,
        }
    }
}

/// The integer that stands for the whole area.
const PART_UNIT: f64 = 2_147_483_648.0;
/// The integer that stands for a power of 1. Powers are from 0 to 10, and the ratio is 2^(power - 5).
const POWER_UNIT: f64 = 65_536.0;
/// The power that stands for 10: the power of the inverse of a ratio is this minus the ratio's power.
const POWER_OF_INVERSE: u32 = 10 << 16;

/// The distribution of the boxes in integers: the constants of the shader.
#[derive(Clone, Copy, Debug)]
pub struct RandomBox {
    least_part: u32,
    n_parts: u32,
    least_power: u32,
    n_powers: u32,
    least_side: u32,
    stream: u32,
}

/// A box in an image.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PixelBox {
    /// The first row.
    pub top: u32,
    /// The first column.
    pub left: u32,
    /// The number of rows.
    pub height: u32,
    /// The number of columns.
    pub width: u32,
}

impl PixelBox {
    /// Returns the box as the nodes store it: top, left, height, width.
    pub fn words(self) -> [u32; 4] {
        [self.top, self.left, self.height, self.width]
    }
}

impl RandomBox {
    /// Returns a shader with these constants.
    pub fn in_shader(self, shader: Shader) -> Shader {
        shader.constants(
            &[
                ("LEAST_PART", self.least_part),
                ("N_PARTS", self.n_parts),
                ("LEAST_POWER", self.least_power),
                ("N_POWERS", self.n_powers),
                ("LEAST_SIDE", self.least_side),
                ("STREAM", self.stream),
            ]
            .map(|(name, value)| (name, value as usize)),
        )
    }

    /// Returns four random words for an image.
    pub fn random(self, [image, epoch]: [u32; 2], position: u32, seed: [u32; 2]) -> [u32; 4] {
        philox([image, epoch, self.stream, position], seed)
    }

    /// Returns a box in an image of `size` = `[rows, columns]`, with at most `most` rows and columns; none if none of
    /// ten boxes has such sides. `of` is the image's number and the epoch.
    pub fn draw(
        self,
        of: [u32; 2],
        seed: [u32; 2],
        size: [u32; 2],
        most: [u32; 2],
    ) -> Option<PixelBox> {
        let [rows, columns] = size;
        (0..N_ATTEMPTS).find_map(|attempt| {
            let [a, b, c, d] = self.random(of, attempt, seed);
            let area = below((rows * columns) << 7, self.least_part + below(a, self.n_parts));
            let power = self.least_power + below(b, self.n_powers);
            let height = side(area, power_of_two(POWER_OF_INVERSE - power));
            let width = side(area, power_of_two(power));
            let is_side = |side, most| (self.least_side..=most).contains(&side);
            (is_side(height, most[0]) && is_side(width, most[1])).then(|| PixelBox {
                top: below(c, rows - height + 1),
                left: below(d, columns - width + 1),
                height,
                width,
            })
        })
    }
}

/// Returns the square root of area times ratio, rounded to the nearest integer. `area` is in units of 1/64 and `ratio`
/// in units of 1/2^27.
fn side(area: u32, ratio: u32) -> u32 {
    // The upper half of the product is 4 * area * ratio, so its root is twice the side.
    below(area << 1, ratio).isqrt().div_ceil(2)
}

/// Returns 2^(power / 2^16 - 5) in units of 1/2^27: the Taylor series of 2^f up to f^7, for the fraction f of
/// power / 2^16.
fn power_of_two(power: u32) -> u32 {
    /// log(2)^k / k! for k = 7, 6, ..., 0, in units of 1/2^31, rounded down.
    const TERMS: [u32; 8] = [
        32_754,
        330_788,
        2_863_359,
        20_654_774,
        119_194_165,
        515_882_495,
        1_488_522_235,
        2_147_483_648,
    ];
    let sum = TERMS.into_iter().fold(0, |sum, term| below(sum, power << 16) + term);
    sum >> (9 - (power >> 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_formula() {
        for power in (0..10 << 16).step_by(97) {
            let expected = (f64::from(power) / POWER_UNIT - 5.0).exp2();
            let got = f64::from(power_of_two(power)) / f64::from(1 << 27);
            assert!((got / expected - 1.0).abs() < 2e-6, "{power}: {got}, not {expected}");
        }
    }

    #[test]
    fn sides_are_rounded_to_the_nearest() {
        let one = 1 << 27;
        for (area, expected) in [(0, 0), (1, 1), (2, 1), (3, 2), (6, 2), (7, 3), (12, 3), (13, 4)] {
            assert_eq!(side(area << 6, one), expected, "{area}");
        }
        assert_eq!(side(1 << 30, one), 4096);
        assert_eq!(side(1 << 30, power_of_two(9 << 16)), 16_384);
    }

    #[test]
    fn the_bounds_of_the_distribution_are_drawn() {
        let range = BoxRange { scale: [1.0, 1.0], ratio: [1.0, 1.0] };
        let whole = range.boxes(1, 0).draw([3, 1], [5, 7], [4096, 4096], [4096, 4096]);
        assert_eq!(whole.map(PixelBox::words), Some([0, 0, 4096, 4096]));
        assert_eq!(range.boxes(1, 0).draw([3, 1], [5, 7], [12, 31], [12, 31]), None);
    }
}
