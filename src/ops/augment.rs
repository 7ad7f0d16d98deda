//! Augmentation on the device: random crop, flip and cutout of images in bytes. The result is normalised and has the
//! layout NHWC.
//!
//! ```text
//! pad by 4 black pixels → crop 32x32 at a random offset → mirror half of the images
//! → normalise: (v / 255 − mean) / std → cutout: an 8x8 square of zeros around a random centre
//! ```
//!
//! [`draws()`] computes the random numbers, and [`apply`] computes the result. `apply` gives the same bits on every
//! device, because the host computes the normalisation as a [`table`] of 256 x 3 values. The generator [`philox`] makes
//! the random numbers from the run's seed, the epoch and the image's number alone. [`jitter`](mod@jitter) optionally
//! changes the colours before the crop.
//!
//! Layouts: pixels `[N, 3, H, W]` in bytes (the order of CIFAR-10's files), indices `[N]`, draws `[N, 5]` in
//! u32, table `[256, 3]`, y `[N, H, W, 3]`. Shaders: `shaders/augment/`. Derivation: `docs/ops/augment.md`.

pub mod apply;
pub mod draws;
pub mod jitter;
pub mod philox;

pub use apply::{AugmentFlags, augment, normalise};
pub use draws::draws;
pub use jitter::{ColorJitter, jitter, jitter_draws};

use super::{Case, OpTests, case::Fill};
use crate::tape::ElementType;

/// Width of the black border that a crop may include, in pixels.
pub const PADDING: usize = 4;
/// Rows and columns of the cutout's square.
pub const CUTOUT: usize = 8;
/// Random numbers per image: crop offset y and x, flip, cutout centre y and x.
pub const N_DRAWS: usize = 5;

/// Returns the table of normalised values, `[256, 3]`: `(value / 255 − mean) / std` for each byte and
/// channel, computed in f64 and rounded once.
pub fn table(mean: [f64; 3], std: [f64; 3]) -> Vec<f32> {
    let entry = |value: u32, c: usize| ((f64::from(value) / 255.0 - mean[c]) / std[c]) as f32;
    (0..256).flat_map(|value| (0..3).map(move |c| entry(value, c))).collect()
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "augment", cases };

fn case(images: usize, [h, w]: [usize; 2], flags: AugmentFlags) -> Case {
    Case::new(format!("{images} images of {h}x{w}, {flags:?}"), 1, move |tape, inputs| {
        let draws = draws(tape, inputs[2], [h, w]);
        vec![augment(tape, inputs[0], inputs[1], draws, flags)]
    })
    .fixed("pixels", &[images, 3, h, w], ElementType::U8, Fill::Words)
    .fixed("table", &[256, 3], ElementType::F32, Fill::Normal)
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
    let plain = Case::new("normalisation alone, 5 images", 1, |tape, inputs| {
        vec![normalise(tape, inputs[0], inputs[1])]
    })
    .fixed("pixels", &[5, 3, 32, 32], ElementType::U8, Fill::Words)
    .fixed("table", &[256, 3], ElementType::F32, Fill::Normal);
    vec![
        case(40, [32, 32], all),
        case(7, [12, 20], all),
        case(3, [32, 32], AugmentFlags { crop: false, ..all }),
        case(3, [32, 32], AugmentFlags { flip: false, ..all }),
        case(3, [32, 32], AugmentFlags { cutout: false, ..all }),
        plain,
        jitter_case(40, [32, 32], ColorJitter { brightness: 0.4, contrast: 0.6, saturation: 1.5 }),
        jitter_case(7, [6, 10], ColorJitter { contrast: 3.0, ..ColorJitter::default() }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_normalises() {
        let table = table([0.5, 0.25, 0.0], [0.5, 1.0, 2.0]);
        assert_eq!(table.len(), 768);
        assert_eq!(table[..3], [-1.0, -0.25, 0.0]);
        assert_eq!(table[765..], [1.0, 0.75, 0.5]);
    }
}
