//! Random resized crop: a random box of each picture, resized to the size of the network's images. Pictures may have
//! sizes of their own. All arithmetic is on bytes and integers, so the result has the same bits on every device.
//!
//! [`boxes()`] draws the boxes, as torchvision's `RandomResizedCrop` does, and [`resize()`] resizes them with a triangle
//! filter, as torchvision's `resize(antialias=True)` and Pillow's bilinear filter do.
//!
//! Layouts: pixels in bytes, where each picture `[C, h, w]` begins at a multiple of the same number of bytes; sizes
//! `[N, 2]`, rows and columns of each picture; indices `[N]`; boxes `[N, 4]`; the result is `[N, C, H, W]` in bytes.
//! Shaders: `shaders/random_resized_crop/`. Derivation: `docs/ops/random_resized_crop.md`.

pub mod boxes;
pub mod resize;

pub use boxes::boxes;
pub use resize::{MOST_SIDE, OUTPUT_SIDES, resize};

use super::random_box::BoxRange;
use super::{Case, OpTests, case::Fill};
use crate::tape::ElementType;

/// The distribution of torchvision's `RandomResizedCrop`: boxes of 8% to 100% of the area, whose ratio of width to height
/// is from 3:4 to 4:3.
pub const RANGE: BoxRange = BoxRange { scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] };

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "random_resized_crop", cases };

/// Returns a case with pictures of 1 to `side` rows and columns.
fn case(images: usize, side: u32, channels: usize, to: [usize; 2], range: BoxRange) -> Case {
    let name = format!("{images} pictures of up to {side}x{side}x{channels} to {to:?}, {range:?}");
    let bytes = channels * (side * side) as usize;
    Case::new(name, 1, move |tape, inputs| {
        let boxes = boxes(tape, inputs[2], inputs[1], range);
        vec![resize(tape, inputs[0], inputs[1], boxes, channels, to)]
    })
    .fixed("pixels", &[images, bytes], ElementType::U8, Fill::Words)
    .fixed("sizes", &[images, 2], ElementType::U32, Fill::UpTo(side))
    .fixed("indices", &[images], ElementType::U32, Fill::Words)
}

fn cases() -> Vec<Case> {
    let range = |scale, ratio| BoxRange { scale, ratio };
    vec![
        case(21, 40, 3, [8, 8], RANGE),
        case(9, 24, 3, [33, 33], RANGE),
        case(5, 400, 3, [32, 20], range([0.2, 0.6], [0.05, 20.0])),
        case(12, 9, 1, [9, 10], range([0.5, 1.0], [2.0, 3.0])),
        case(30, 17, 1, [5, 7], range([1.0, 1.0], [0.3, 0.5])),
    ]
}
