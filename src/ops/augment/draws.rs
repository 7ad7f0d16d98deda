//! The random numbers (draws) with which a batch is augmented.

use super::{N_DRAWS, padding};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::ops::philox::{AUGMENT_STREAM, below, philox};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records the random numbers of a batch. `indices`, `[N]`, are the numbers of the batch's images in the dataset, and
/// `image` is the size of an image, `[H, W]`. The result is `[N, 5]` in u32: crop offset y and x in
/// `0..=2 * padding`, flip 0 or 1, cutout centre y in `0..H` and x in `0..W`.
pub fn draws(tape: &mut Tape, indices: ValueId, image: [usize; 2]) -> ValueId {
    tape.push_one(Draws { image, padding: padding(image) }, &[indices])
}

/// The random numbers of the augmentation: `indices -> draws`.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// The size of an image, `[H, W]`.
    pub image: [usize; 2],
    /// Width of the border that a crop may include, in pixels.
    pub padding: usize,
}

impl Op for Draws {
    fn name(&self) -> &'static str {
        "augment.draws"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let indices = &inputs[0].shape;
        assert_eq!(indices.len(), 1, "augment: image numbers have shape {indices:?}, not [N]");
        vec![OutputSpec::words("draws", &[indices[0], N_DRAWS])]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let n = io.input(0).n_elements();
        let [h, w] = self.image;
        let shader = Shader::new("augment/draws").constants(&[
            ("IMAGES", n),
            ("PADDING", self.padding),
            ("HEIGHT", h),
            ("WIDTH", w),
        ]);
        Launch::one(shader, &[Binding::Input(0), Binding::Output(0), Binding::Step], grid(n))
    }
}

impl Reference for Draws {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [height, width] = self.image.map(|side| side as u32);
        let n_offsets = 2 * self.padding as u32 + 1;
        let draws = args.outputs[0].words().chunks_mut(N_DRAWS);
        for (&index, draws) in args.inputs[0].words().iter().zip(draws) {
            let [a, b, c, d] = philox([index, args.step.epoch, AUGMENT_STREAM, 0], args.step.seed);
            draws.copy_from_slice(&[
                below(a, n_offsets),
                below(b, n_offsets),
                c & 1,
                below(c, height),
                below(d, width),
            ]);
        }
    }
}
