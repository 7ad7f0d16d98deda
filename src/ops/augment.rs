//! Augmentation on the device: random crop, flip and cutout of images in bytes. The result is normalised and has the
//! layout NHWC.
//!
//! ```text
//! pad with black pixels, or with the mirrored image → crop to the original size at a random offset → mirror half of the images
//! → normalise: (v / 255 − mean) / std → cutout: a square of zeros around a random centre
//! ```
//!
//! [`draws()`] computes the random numbers, and [`apply`] computes the result. `apply` gives the same bits on every
//! device, because the host computes the normalisation as a [`table`] of 256 values for each channel. The generator
//! [`philox`](super::philox) makes the random numbers from the run's seed, the epoch and the image's number alone.
//! [`jitter`](mod@jitter) optionally changes the colours before the crop; it takes images of three channels.
//!
//! Layouts: pixels `[N, C, H, W]` in bytes (the order of CIFAR-10's files), indices `[N]`, draws `[N, 5]` in
//! u32, table `[256, C]`, y `[N, H, W, C]`. Shaders: `shaders/augment/`. Derivation: `docs/ops/augment.md`.

pub mod apply;
pub mod draws;
pub mod jitter;

pub use apply::{AugmentFlags, CropPadding, augment, normalise};
pub use draws::draws;
pub use jitter::{ColorJitter, jitter, jitter_draws};

use super::{Case, OpTests, case::Fill};
use crate::tape::ElementType;

/// Returns the width of the border that a crop may include, in pixels: an eighth of the image's shorter side,
/// rounded to the nearest. For 32x32 pixels it is 4.
pub fn padding([height, width]: [usize; 2]) -> usize {
    (height.min(width) + 4) / 8
}

/// Returns the side of the cutout's square in pixels: a quarter of the image's shorter side, rounded to the nearest.
/// For 32x32 pixels it is 8.
pub fn cutout([height, width]: [usize; 2]) -> usize {
    (height.min(width) + 2) / 4
}

/// Random numbers per image: crop offset y and x, flip, cutout centre y and x.
pub const N_DRAWS: usize = 5;

/// Returns the table of normalised values, `[256, C]`: `(value / 255 − mean) / std` for each byte and
/// channel, computed in f64 and rounded once. `mean` and `std` have a number for each channel.
pub fn table(mean: &[f64], std: &[f64]) -> Vec<f32> {
    let entry = |value: u32, (mean, std)| ((f64::from(value) / 255.0 - mean) / std) as f32;
    (0..256)
        .flat_map(|value| mean.iter().zip(std).map(move |channel| entry(value, channel)))
        .collect()
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "augment", cases };

fn case(images: usize, [h, w, c]: [usize; 3], flags: AugmentFlags) -> Case {
    Case::new(format!("{images} images of {h}x{w}x{c}, {flags:?}"), 1, move |tape, inputs| {
        let draws = draws(tape, inputs[2], [h, w]);
        vec![augment(tape, inputs[0], inputs[1], draws, flags)]
    })
    .fixed("pixels", &[images, c, h, w], ElementType::U8, Fill::Words)
    .fixed("table", &[256, c], ElementType::F32, Fill::Normal)
    .fixed("indices", &[images], ElementType::U32, Fill::Words)
}

fn jitter_case(images: usize, [h, w]: [usize; 2], how: ColorJitter) -> Case {
    Case::new(format!("{images} images of {h}x{w}, {how:?}"), 1, move |tape, inputs| {
        let draws = jitter_draws(tape, inputs[1], how);
        vec![jitter(tape, inputs[0], draws)]
    })
    .fixed("pixels", &[images, 3, h, w], ElementType::U8, Fill::Words)
    .fixed("indices", &[images], ElementType::U32, Fill::Words)
}

fn cases() -> Vec<Case> {
    let all = AugmentFlags::default();
    let plain = |[h, w, c]: [usize; 3]| {
        let name = format!("normalisation alone, 5 images of {h}x{w}x{c}");
        Case::new(name, 1, |tape, inputs| vec![normalise(tape, inputs[0], inputs[1])])
            .fixed("pixels", &[5, c, h, w], ElementType::U8, Fill::Words)
            .fixed("table", &[256, c], ElementType::F32, Fill::Normal)
    };
    vec![
        case(40, [32, 32, 3], all),
        case(7, [12, 20, 3], all),
        case(9, [28, 28, 1], all),
        // An image has 35 bytes, which is not a multiple of the four bytes of a word.
        case(6, [5, 7, 1], all),
        case(3, [32, 32, 3], AugmentFlags { crop: false, ..all }),
        case(9, [12, 20, 3], AugmentFlags { crop_padding: CropPadding::Reflect, ..all }),
        case(3, [32, 32, 3], AugmentFlags { flip: false, ..all }),
        case(3, [32, 32, 3], AugmentFlags { cutout: false, ..all }),
        plain([32, 32, 3]),
        plain([5, 7, 1]),
        jitter_case(40, [32, 32], ColorJitter { brightness: 0.4, contrast: 0.6, saturation: 1.5 }),
        jitter_case(7, [6, 10], ColorJitter { contrast: 3.0, ..ColorJitter::default() }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_normalises() {
        let table = table(&[0.5, 0.25, 0.0], &[0.5, 1.0, 2.0]);
        assert_eq!(table.len(), 768);
        assert_eq!(table[..3], [-1.0, -0.25, 0.0]);
        assert_eq!(table[765..], [1.0, 0.75, 0.5]);
    }

    #[test]
    fn border_and_square_are_in_proportion_to_the_shorter_side() {
        for (size, expected) in
            [([32, 32], (4, 8)), ([28, 28], (4, 7)), ([20, 24], (3, 5)), ([64, 96], (8, 16))]
        {
            assert_eq!((padding(size), cutout(size)), expected, "{size:?}");
        }
    }
}
