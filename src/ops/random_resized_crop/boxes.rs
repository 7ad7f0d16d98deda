//! The boxes that random resized crops show.

use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::ops::philox::CROP_STREAM;
use crate::ops::random_box::{BoxRange, PixelBox, RandomBox};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records the boxes of a batch. `indices`, `[N]`, are the numbers of the batch's pictures in the dataset, and `sizes`,
/// `[N, 2]`, their rows and columns, each from 1 to [`MOST_SIDE`](super::MOST_SIDE). The result is `[N, 4]` in u32: the
/// first row and column of the box, and its numbers of rows and columns.
///
/// # Panics
/// If a bound of the range is not allowed.
pub fn boxes(tape: &mut Tape, indices: ValueId, sizes: ValueId, range: BoxRange) -> ValueId {
    tape.push_one(Boxes { range: range.checked() }, &[indices, sizes])
}

/// The boxes: `indices, sizes -> boxes`.
#[derive(Clone, Copy, Debug)]
pub struct Boxes {
    /// The distribution of the boxes.
    pub range: BoxRange,
}

impl Boxes {
    /// Returns the distribution in integers.
    fn in_integers(&self) -> RandomBox {
        self.range.boxes(1, CROP_STREAM)
    }

    /// Returns the least and the largest ratio of width to height, in units of 1/2^14.
    fn ratios(&self) -> [u32; 2] {
        self.range.ratio.map(|ratio| (ratio * 16_384.0).round() as u32)
    }

    /// Returns the largest box in the middle of a picture whose ratio of width to height is in the range.
    fn central(&self, [rows, columns]: [u32; 2]) -> PixelBox {
        let [least, most] = self.ratios();
        let (mut height, mut width) = (rows, columns);
        if columns << 14 < rows * least {
            height = (((columns << 15) + least) / (2 * least)).max(1);
        } else if columns << 14 > rows * most {
            width = ((rows * most + 8_192) >> 14).max(1);
        }
        PixelBox { top: (rows - height) / 2, left: (columns - width) / 2, height, width }
    }
}

impl Op for Boxes {
    fn name(&self) -> &'static str {
        "random_resized_crop.boxes"
    }

    fn attributes(&self) -> String {
        let BoxRange { scale, ratio } = self.range;
        format!("scale {} to {}, ratio {:.3} to {:.3}", scale[0], scale[1], ratio[0], ratio[1])
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (indices, sizes) = (&inputs[0].shape, &inputs[1].shape);
        assert_eq!(indices.len(), 1, "random_resized_crop: image numbers {indices:?}, not [N]");
        let n = indices[0];
        assert_eq!(sizes, &[n, 2], "random_resized_crop: {n} pictures, sizes {sizes:?}");
        vec![OutputSpec::words("boxes", &[n, 4])]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let n = io.input(0).n_elements();
        let [least, most] = self.ratios().map(|ratio| ratio as usize);
        let shader = Shader::new("random_resized_crop/boxes").constants(&[
            ("IMAGES", n),
            ("LEAST_RATIO", least),
            ("MOST_RATIO", most),
        ]);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0), Binding::Step];
        Launch::one(self.in_integers().in_shader(shader), &bindings, grid(n))
    }
}

impl Reference for Boxes {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let random = self.in_integers();
        let (sizes, boxes) = (args.inputs[1].words(), args.outputs[0].words());
        let (sizes, boxes) = (sizes.as_chunks::<2>().0, boxes.as_chunks_mut::<4>().0);
        for ((&index, &size), found) in args.inputs[0].words().iter().zip(sizes).zip(boxes) {
            let drawn = random.draw([index, args.step.epoch], args.step.seed, size, size);
            *found = drawn.unwrap_or_else(|| self.central(size)).words();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::RANGE;
    use super::*;

    #[test]
    fn the_central_box_has_the_nearest_ratio() {
        let boxes = Boxes { range: RANGE };
        for (size, expected) in [
            ([30, 30], [0, 0, 30, 30]),
            ([30, 90], [0, 25, 30, 40]),
            ([90, 30], [25, 0, 40, 30]),
            ([10, 3000], [0, 1493, 10, 13]),
            ([1, 4096], [0, 2047, 1, 1]),
            ([4096, 1], [2047, 0, 1, 1]),
        ] {
            assert_eq!(boxes.central(size).words(), expected, "{size:?}");
        }
    }
}
