//! Random erasing: sets a random box of some images to 0, as torchvision's `RandomErasing(p)` does after the
//! normalisation.
//!
//! Layouts: images `[N, H, W, C]`, indices `[N]`, boxes `[N, 4]` in u32. Shaders: `shaders/random_erasing/`. Derivation:
//! `docs/ops/random_erasing.md`.

use super::philox::ERASING_STREAM;
use super::random_box::{BoxRange, N_ATTEMPTS, RandomBox};
use super::{Case, OpTests, case::Fill, nhwc};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, ElementType, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// The distribution of torchvision's boxes: 2% to 33% of the area, with a ratio of width to height from 0.3 to 3.3 in
/// height to width, and so from 1 / 3.3 to 1 / 0.3 in width to height.
pub const RANGE: BoxRange = BoxRange { scale: [0.02, 0.33], ratio: [1.0 / 3.3, 1.0 / 0.3] };

/// Records the boxes of a batch. `indices`, `[N]`, are the numbers of the batch's images in the dataset, and `image` is
/// the size of an image, `[H, W]`. The result is `[N, 4]` in u32: the first row and column of the box, and its numbers
/// of rows and columns; zeros for an image that is not erased.
///
/// # Panics
/// If the probability is not from 0 to 1.
pub fn boxes(tape: &mut Tape, indices: ValueId, image: [usize; 2], probability: f64) -> ValueId {
    assert!((0.0..=1.0).contains(&probability), "random_erasing: probability {probability}");
    tape.push_one(Boxes { image, probability }, &[indices])
}

/// Records images `[N, H, W, C]` whose boxes are 0.
pub fn erase(tape: &mut Tape, images: ValueId, boxes: ValueId) -> ValueId {
    tape.push_one(Erase, &[images, boxes])
}

/// The boxes: `indices -> boxes`.
#[derive(Clone, Copy, Debug)]
pub struct Boxes {
    /// The size of an image, `[H, W]`.
    pub image: [usize; 2],
    /// The probability that an image is erased.
    pub probability: f64,
}

impl Boxes {
    /// Returns the distribution in integers.
    fn in_integers() -> RandomBox {
        RANGE.boxes(0, ERASING_STREAM)
    }

    /// Returns the probability in units of 1/2^31.
    fn threshold(&self) -> u32 {
        (self.probability * 2_147_483_648.0).round() as u32
    }
}

impl Op for Boxes {
    fn name(&self) -> &'static str {
        "random_erasing.boxes"
    }

    fn attributes(&self) -> String {
        format!("probability {}", self.probability)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let indices = &inputs[0].shape;
        assert_eq!(indices.len(), 1, "random_erasing: image numbers {indices:?}, not [N]");
        vec![OutputSpec::words("boxes", &[indices[0], 4])]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let n = io.input(0).n_elements();
        let [h, w] = self.image;
        let shader = Shader::new("random_erasing/boxes").constants(&[
            ("IMAGES", n),
            ("HEIGHT", h),
            ("WIDTH", w),
            ("PROBABILITY", self.threshold() as usize),
        ]);
        let bindings = [Binding::Input(0), Binding::Output(0), Binding::Step];
        Launch::one(Self::in_integers().in_shader(shader), &bindings, grid(n))
    }
}

impl Reference for Boxes {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let random = Self::in_integers();
        let size = self.image.map(|side| side as u32);
        let boxes = args.outputs[0].words().as_chunks_mut::<4>().0;
        for (&index, found) in args.inputs[0].words().iter().zip(boxes) {
            let of = [index, args.step.epoch];
            // The attempts are at the positions before N_ATTEMPTS of the random stream.
            let [word, ..] = random.random(of, N_ATTEMPTS, args.step.seed);
            let drawn = (word >> 1 < self.threshold())
                .then(|| random.draw(of, args.step.seed, size, size.map(|side| side - 1)));
            *found = drawn.flatten().unwrap_or_default().words();
        }
    }
}

/// The erased images: `images, boxes -> erased`.
#[derive(Clone, Copy, Debug)]
pub struct Erase;

impl Op for Erase {
    fn name(&self) -> &'static str {
        "random_erasing.erase"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (images, boxes) = (&inputs[0].shape, &inputs[1].shape);
        let [n, ..] = nhwc("random_erasing", images);
        assert_eq!(boxes, &[n, 4], "random_erasing: {n} images, boxes {boxes:?}");
        vec![OutputSpec::real("erased", images)]
    }

    /// Returns false: images are data, and no layer stands in front of them.
    fn has_gradient(&self) -> bool {
        false
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [n, h, w, c] = nhwc("random_erasing", io.input_shape(0));
        let sizes = [("IMAGES", n), ("HEIGHT", h), ("WIDTH", w), ("CHANNELS", c)];
        let shader = Shader::new("random_erasing/erase").constants(&sizes);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Erase {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [_, h, w, c] = nhwc("random_erasing", args.io.input_shape(0));
        let (images, boxes) = (args.inputs[0].real(), args.inputs[1].words());
        for_each_chunk(args.outputs[0].real(), h * w * c, &|image, erased| {
            let words: &[u32; 4] = chunk(boxes, image, 4).try_into().expect("four words");
            let image = chunk(images, image, h * w * c);
            erased.copy_from_slice(image);
            let [top, left, height, width] = words.map(|word| word as usize);
            for row in erased.chunks_exact_mut(w * c).skip(top).take(height) {
                row[left * c..(left + width) * c].fill(T::ZERO);
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "random_erasing", cases };

fn case(images: usize, [h, w, c]: [usize; 3], probability: f64) -> Case {
    let name = format!("{images} images of {h}x{w}x{c}, probability {probability}");
    Case::new(name, 1, move |tape, inputs| {
        let boxes = boxes(tape, inputs[1], [h, w], probability);
        vec![erase(tape, inputs[0], boxes)]
    })
    .fixed("images", &[images, h, w, c], ElementType::F32, Fill::Normal)
    .fixed("indices", &[images], ElementType::U32, Fill::Words)
}

fn cases() -> Vec<Case> {
    vec![
        case(40, [32, 32, 3], 0.5),
        case(9, [7, 30, 1], 1.0),
        case(60, [2, 3, 5], 1.0),
        case(5, [12, 20, 3], 0.0),
    ]
}
