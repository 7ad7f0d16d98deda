//! Dropout: sets elements to 0 at random in training, and scales the others, so that the mean stays the same.
//!
//! ```text
//! y[n, i] = x[n, i] · m[n, i] / (1 − p)        m is 0 with probability p, otherwise 1
//! ```
//!
//! The mask m is not stored. It is a function of the run's seed, the epoch, the image's number, the element's position
//! in the image and the layer's number, so the backward node computes the same mask again. The mask of an image does
//! not depend on its batch. The layer's number is data of the launch, so equal layers share a pipeline.
//!
//! Layouts: x and y `[N, ...]`, image numbers `[N]`. Shaders: `shaders/dropout/`. Derivation: `docs/ops/dropout.md`.

use super::philox::{FIRST_DROPOUT_STREAM, philox};
use super::{Case, OpTests, case::Fill};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, StepScalars, Target, grid};
use crate::tape::{
    Args, ElementType, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId,
};

/// Records dropout with probability `p`. `image_numbers`, `[N]`, are the numbers of the batch's images. The number of
/// dropout layers before this one on the tape is the number of the layer; two layers have different masks.
///
/// # Panics
/// If `p` is not in 0..1, or if there is not one number for each image.
pub fn dropout(tape: &mut Tape, x: ValueId, image_numbers: ValueId, p: f32) -> ValueId {
    assert!((0.0..1.0).contains(&p), "dropout: p is {p}; give a number from 0 to below 1");
    let layer = tape.number_random_layer();
    tape.push_one(Dropout { p, layer }, &[x, image_numbers])
}

/// Dropout and its gradient: `x, image_numbers -> y` and `d_y, image_numbers -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// The probability that an element becomes 0.
    pub p: f32,
    /// The number of the dropout layer in the network, from 0.
    pub layer: usize,
}

impl Dropout {
    /// Returns the factor of the elements that are kept, `1/(1 − p)`.
    fn scale(&self) -> f32 {
        (1.0 / (1.0 - f64::from(self.p))) as f32
    }

    /// Returns the number of random words, of 2^32, that drop an element: the words below this number.
    fn threshold(&self) -> u32 {
        (f64::from(self.p) * f64::from(1 << 16).powi(2)).round() as u32
    }

    /// Returns the word of the random generator's counter that selects the random stream of the layer.
    fn stream(&self) -> u32 {
        FIRST_DROPOUT_STREAM + self.layer as u32
    }

    /// Overwrites `y` with the elements of `x` that are kept, scaled. Both are one image.
    fn apply<T: Real>(&self, x: &[T], image_number: u32, step: &StepScalars, y: &mut [T]) {
        let (threshold, scale) = (self.threshold(), T::from_f32(self.scale()));
        for (group, (y, x)) in y.chunks_mut(4).zip(x.chunks(4)).enumerate() {
            let counter = [image_number, step.epoch, self.stream(), group as u32];
            for ((y, &x), word) in y.iter_mut().zip(x).zip(philox(counter, step.seed)) {
                *y = x * if word >= threshold { scale } else { T::ZERO };
            }
        }
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout.apply"
    }

    /// Returns p. The number of the layer is left out, so the equal blocks of a network have equal attributes.
    fn attributes(&self) -> String {
        format!("p {}", self.p)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (x, numbers) = (&inputs[0].shape, &inputs[1].shape);
        let fits = numbers.len() == 1 && x.first() == numbers.first();
        assert!(fits, "dropout: x is {x:?}, but the image numbers have shape {numbers:?}");
        vec![OutputSpec::real("dropout", x)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        // The op multiplies each element by a factor that does not depend on x, so its gradient is the same op.
        let d_y = d_outputs[0].expect("y has a gradient");
        vec![Some(tape.push_one(*self, &[d_y, node.inputs[1]])), None]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let n = io.input_shape(1)[0];
        let size = io.input(0).n_elements() / n;
        let shader = Shader::new("dropout/apply")
            .constants(&[("IMAGES", n), ("SIZE", size), ("THRESHOLD", self.threshold() as usize)])
            .constant("SCALE", self.scale());
        // The stream is data and not a constant, so all layers of one shape share a pipeline.
        let stream = Binding::Number(self.stream());
        let (x, numbers, y) = (Binding::Input(0), Binding::Input(1), Binding::Output(0));
        let bindings = [x, numbers, y, Binding::Step, stream];
        Launch::one(shader, &bindings, grid(n * size.div_ceil(4)))
    }
}

impl Reference for Dropout {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (x, numbers) = (args.inputs[0].real(), args.inputs[1].words());
        let size = x.len() / numbers.len();
        for_each_chunk(args.outputs[0].real(), size, &|image, y| {
            self.apply(chunk(x, image, size), numbers[image], args.step, y);
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "dropout", cases };

fn case(shape: &[usize], probabilities: &'static [f32]) -> Case {
    Case::new(format!("{shape:?}, p {probabilities:?}"), 1, |tape, inputs| {
        let y = probabilities.iter().fold(inputs[0], |x, &p| dropout(tape, x, inputs[1], p));
        vec![y]
    })
    .real("x", shape, Fill::Normal)
    .fixed("image_numbers", &shape[..1], ElementType::U32, Fill::Words)
}

fn cases() -> Vec<Case> {
    vec![
        case(&[3, 5, 6, 7], &[0.3]),
        // An image has fewer elements than Philox gives words.
        case(&[70, 3], &[0.5]),
        // Two layers.
        case(&[4, 3, 3, 8], &[0.2, 0.4]),
    ]
}

#[cfg(test)]
mod tests {
    use std::any::Any;

    use super::*;
    use crate::tape::Mode;

    fn apply(layer: usize, number: u32, step: &StepScalars, x: &[f64]) -> Vec<f64> {
        let mut y = vec![f64::NAN; x.len()];
        Dropout { p: 0.25, layer }.apply(x, number, step, &mut y);
        y
    }

    #[test]
    fn the_kept_share_is_within_five_standard_errors_and_the_mean_stays() {
        let n = 40_000;
        let step = StepScalars { seed: [3, 4], epoch: 5, ..StepScalars::default() };
        let y = apply(0, 6, &step, &vec![1.0; n]);
        let kept = y.iter().filter(|&&y| y != 0.0).count() as f64 / n as f64;
        let standard_error = (0.25 * 0.75 / n as f64).sqrt();
        assert!((kept - 0.75).abs() < 5.0 * standard_error, "{kept}");
        assert!(y.iter().all(|&y| y == 0.0 || (y * 0.75 - 1.0).abs() < 1e-7));
        // Of two neighbours, both are kept with probability 0.75², so the words of a counter are independent.
        let both = y.windows(2).filter(|pair| pair[0] * pair[1] != 0.0).count() as f64 / n as f64;
        assert!((both - 0.5625).abs() < 5.0 * (0.5625 * 0.4375 / n as f64).sqrt(), "{both}");
    }

    #[test]
    fn the_mask_differs_by_layer_image_epoch_and_seed() {
        let step = StepScalars { seed: [1, 2], epoch: 3, ..StepScalars::default() };
        let x = [1.0; 64];
        let first = apply(0, 7, &step, &x);
        assert_eq!(first, apply(0, 7, &step, &x));
        let other_seed = StepScalars { seed: [1, 3], ..step };
        let other_epoch = StepScalars { epoch: 4, ..step };
        for other in [
            apply(1, 7, &step, &x),
            apply(0, 8, &step, &x),
            apply(0, 7, &other_epoch, &x),
            apply(0, 7, &other_seed, &x),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn layers_are_numbered_in_the_order_of_recording() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 8]);
        let numbers = tape.input("image_numbers", ElementType::U32, &[2]);
        let y = dropout(&mut tape, x, numbers, 0.5);
        dropout(&mut tape, y, numbers, 0.5);
        let layer =
            |node: &Node| (&*node.op as &dyn Any).downcast_ref().map(|op: &Dropout| op.layer);
        let layers: Vec<_> = tape.nodes().iter().map(layer).collect();
        assert_eq!(layers, [Some(0), Some(1)]);
    }

    #[test]
    #[should_panic(expected = "dropout: p is 1; give a number from 0 to below 1")]
    fn refuses_to_drop_everything() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 8]);
        let numbers = tape.input("image_numbers", ElementType::U32, &[2]);
        dropout(&mut tape, x, numbers, 1.0);
    }
}
