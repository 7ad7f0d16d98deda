//! Colour jitter: changes brightness, contrast and saturation of each image by random factors in a random
//! order. All arithmetic is on bytes and integers.

use super::apply::sizes;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::launch::grid_of_workgroups;
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::ops::philox::{JITTER_STREAM, below, philox};
use crate::tape::{Args, ElementType, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// The strengths of the colour jitter; a change with strength 0 is off.
///
/// A strength means the same as in `torchvision.transforms.ColorJitter(brightness, contrast, saturation)`: for strength
/// x, the random factor of an image is uniform from `max(0, 1 - x)` to `1 + x`, and the factor 1 changes nothing.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct ColorJitter {
    /// Strength of the brightness, which moves pixels towards black or away from black.
    pub brightness: f64,
    /// Strength of the contrast, which moves pixels towards the image's mean grey or away from this grey.
    pub contrast: f64,
    /// Strength of the saturation, which moves pixels towards their own grey or away from this grey.
    pub saturation: f64,
}

impl ColorJitter {
    /// The upper bound of each strength: with larger factors, products would overflow 32 bits.
    pub const MOST: f64 = 100.0;

    /// Returns true if any strength is not 0.
    pub fn is_on(&self) -> bool {
        *self != Self::default()
    }

    /// Returns (least factor, number of factors) of brightness, contrast and saturation, in units of 1 /
    /// [`UNIT`].
    fn factors(&self) -> [(u32, u32); 3] {
        [self.brightness, self.contrast, self.saturation].map(|x| {
            assert!((0.0..=Self::MOST).contains(&x), "augment: jitter {x} is not in 0..=100");
            let [least, most] = [(1.0 - x).max(0.0), 1.0 + x].map(|f| (f * UNIT).round() as u32);
            (least, most - least + 1)
        })
    }
}

/// The integer that stands for the factor 1. With factors in this unit, the integers here and Pillow's f32 give the
/// same results: every result that needs no clamping to a byte fits the 24 bits of an f32's mantissa.
const UNIT: f64 = 16_384.0;
const UNIT_BITS: u32 = 14;

/// Random numbers per image: the factors of the three changes, in units of 1/16384, and the number of the order of the
/// changes.
pub const N_JITTER_DRAWS: usize = 4;

/// Records the random numbers of a batch. `indices`, `[N]`, are the numbers of its images in the dataset. The result is
/// `[N, 4]` in u32: the factors of brightness, contrast and saturation, in units of 1/16384, and the number of the
/// order of the three changes, in `0..6`.
///
/// # Panics
/// If a strength of the jitter is not from 0 to [`ColorJitter::MOST`].
pub fn jitter_draws(tape: &mut Tape, indices: ValueId, jitter: ColorJitter) -> ValueId {
    jitter.factors();
    tape.push_one(JitterDraws { jitter }, &[indices])
}

/// Records the colour jitter of pixels `[N, 3, H, W]` with draws `[N, 4]`; the result has the pixels' shape.
pub fn jitter(tape: &mut Tape, pixels: ValueId, draws: ValueId) -> ValueId {
    tape.push_one(Jitter, &[pixels, draws])
}

/// The random numbers of the colour jitter: `indices -> draws`.
#[derive(Clone, Copy, Debug)]
pub struct JitterDraws {
    /// The strengths of the jitter.
    pub jitter: ColorJitter,
}

impl Op for JitterDraws {
    fn name(&self) -> &'static str {
        "augment.jitter_draws"
    }

    fn attributes(&self) -> String {
        let ColorJitter { brightness, contrast, saturation } = self.jitter;
        format!("brightness {brightness}, contrast {contrast}, saturation {saturation}")
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let indices = &inputs[0].shape;
        assert_eq!(indices.len(), 1, "augment: image numbers have shape {indices:?}, not [N]");
        vec![OutputSpec::words("jitter_draws", &[indices[0], N_JITTER_DRAWS])]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let n = io.input(0).n_elements();
        let [brightness, contrast, saturation] =
            self.jitter.factors().map(|(least, n)| (least as usize, n as usize));
        let shader = Shader::new("augment/jitter_draws").constants(&[
            ("IMAGES", n),
            ("LEAST_BRIGHTNESS", brightness.0),
            ("N_BRIGHTNESS", brightness.1),
            ("LEAST_CONTRAST", contrast.0),
            ("N_CONTRAST", contrast.1),
            ("LEAST_SATURATION", saturation.0),
            ("N_SATURATION", saturation.1),
        ]);
        Launch::one(shader, &[Binding::Input(0), Binding::Output(0), Binding::Step], grid(n))
    }
}

impl Reference for JitterDraws {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let factors = self.jitter.factors();
        let draws = args.outputs[0].words().chunks_mut(N_JITTER_DRAWS);
        for (&index, draws) in args.inputs[0].words().iter().zip(draws) {
            // The third word of the counter is 1 here and 0 in `augment.draws`, so the two nodes draw different random
            // numbers.
            let random = philox([index, args.step.epoch, JITTER_STREAM, 0], args.step.seed);
            for ((draw, word), (least, n)) in draws.iter_mut().zip(random).zip(factors) {
                *draw = least + below(word, n);
            }
            draws[3] = below(random[3], 6);
        }
    }
}

/// The colour jitter: `pixels, draws -> jittered`.
#[derive(Clone, Copy, Debug)]
pub struct Jitter;

impl Op for Jitter {
    fn name(&self) -> &'static str {
        "augment.jitter"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (pixels, draws) = (&inputs[0].shape, &inputs[1].shape);
        let [n, c, h, w] = sizes(pixels);
        assert_eq!(c, 3, "augment: colour jitter of {c} channels, not 3");
        assert_eq!(draws, &[n, N_JITTER_DRAWS], "augment: {n} images, draws {draws:?}");
        assert!((h * w).is_multiple_of(4), "augment: {h}x{w} pixels are not a multiple of 4");
        let element = ElementType::U8;
        vec![OutputSpec { name: "jittered", shape: pixels.clone(), element }]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [n, _, h, w] = sizes(io.input_shape(0));
        let shader = Shader::new("augment/jitter").constants(&[("IMAGES", n), ("PIXELS", h * w)]);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(shader, &bindings, grid_of_workgroups(n))
    }
}

impl Reference for Jitter {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [_, _, h, w] = sizes(args.io.input_shape(0));
        // A u32 word packs four pixels, the first in the lowest byte. wgpu runs on little-endian machines, where the
        // bytes of the words are the pixels in order.
        let pixels: &[u8] = bytemuck::cast_slice(args.inputs[0].words());
        let jittered: &mut [u8] = bytemuck::cast_slice_mut(args.outputs[0].words());
        let draws = args.inputs[1].words();
        for_each_chunk(jittered, 3 * h * w, &|image, jittered| {
            jittered.copy_from_slice(chunk(pixels, image, 3 * h * w));
            let draws = chunk(draws, image, N_JITTER_DRAWS);
            for turn in 0..3 {
                let which = change_at(turn, draws[3]);
                change(jittered, which, draws[which] as i32);
            }
        });
    }
}

/// Returns the change at position `turn` of order number `order`: 0 brightness, 1 contrast, 2 saturation. The six
/// orders are the three cyclic shifts of (0, 1, 2) and the three cyclic shifts of (0, 2, 1).
fn change_at(turn: usize, order: u32) -> usize {
    let order = order as usize;
    (order / 2 + turn * (1 + order % 2)) % 3
}

/// Changes an image `[3, H, W]` in place: moves each pixel's colour towards an origin, or away from it. If `which` is 0
/// (brightness), the origin is black; if 1 (contrast), the image's mean grey; if 2 (saturation), the pixel's own grey.
fn change(image: &mut [u8], which: usize, factor: i32) {
    let n = image.len() / 3;
    let grey_at = |image: &[u8], at: usize| grey([image[at], image[n + at], image[2 * n + at]]);
    let mean = match which {
        1 => {
            let sum: i32 = (0..n).map(|at| grey_at(image, at)).sum();
            // The mean grey, rounded to the nearest integer.
            (2 * sum + n as i32) / (2 * n as i32)
        }
        _ => 0,
    };
    for at in 0..n {
        let origin = if which == 2 { grey_at(image, at) } else { mean };
        for v in [at, n + at, 2 * n + at] {
            let blended = (origin << UNIT_BITS) + factor * (i32::from(image[v]) - origin);
            image[v] = (blended >> UNIT_BITS).clamp(0, 255) as u8;
        }
    }
}

/// Returns the grey of a pixel as Pillow computes it: the luma of ITU-R BT.601, with weights in units of 1/65536,
/// rounded to the nearest integer.
fn grey([r, g, b]: [u8; 3]) -> i32 {
    (19_595 * i32::from(r) + 38_470 * i32::from(g) + 7_471 * i32::from(b) + 32_768) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_six_orders_occurs_once() {
        let order = |number| [0, 1, 2].map(|turn| change_at(turn, number));
        let mut orders: Vec<[usize; 3]> = (0..6).map(order).collect();
        orders.sort_unstable();
        assert_eq!(orders, [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]);
    }

    #[test]
    fn factors_have_the_range_of_torchvision() {
        let jitter = ColorJitter { brightness: 0.25, contrast: 0.0, saturation: 2.0 };
        assert_eq!(jitter.factors(), [(12_288, 8_193), (16_384, 1), (0, 49_153)]);
        assert!(jitter.is_on() && !ColorJitter::default().is_on());
    }

    #[test]
    fn the_factor_1_changes_nothing() {
        let original: Vec<u8> = (0..=255).chain((0..=255).rev()).chain(0..=255).collect();
        for which in 0..3 {
            let mut image = original.clone();
            change(&mut image, which, UNIT as i32);
            assert_eq!(image, original);
        }
    }

    /// The largest factor that [`ColorJitter::MOST`] allows, 101, times the largest difference of two bytes fits 32
    /// bits.
    #[test]
    fn the_largest_factor_fits() {
        let most = ((1.0 + ColorJitter::MOST) * UNIT) as i32;
        let changed = |mut image: Vec<u8>, which| {
            change(&mut image, which, most);
            image
        };
        // The first change is in the brightness of two pixels, (0, 2, 0) and (1, 255, 0). The second change is in the
        // contrast of a black and a white pixel, with mean grey 128.
        assert_eq!(changed(vec![0, 1, 2, 255, 0, 0], 0), [0, 101, 202, 255, 0, 0]);
        assert_eq!(changed(vec![0, 255, 0, 255, 0, 255], 1), [0, 255, 0, 255, 0, 255]);
        // The third change is in the saturation of (0, 2, 0) and (1, 255, 0), whose greys are 1 and 150.
        assert_eq!(changed(vec![0, 1, 2, 255, 0, 0], 2), [0, 0, 102, 255, 0, 0]);
    }
}
