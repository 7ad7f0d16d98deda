//! Colour jitter: changes brightness, contrast and saturation of each image by random factors in a random
//! order. All arithmetic is on bytes and integers.

use rayon::prelude::*;

use super::apply::sizes;
use super::philox::{below, philox};
use crate::kernel::launch::grid_of_workgroups;
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, ElementType, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// The strength of the colour jitter; a part that is 0 is off.
///
/// The same as `torchvision.transforms.ColorJitter(brightness, contrast, saturation)`: a factor is uniform
/// from `max(0, 1 - x)` to `1 + x`, and the factor 1 changes nothing.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct ColorJitter {
    /// Moves pixels towards black, or away from it.
    pub brightness: f64,
    /// Moves pixels towards the image's mean grey, or away from it.
    pub contrast: f64,
    /// Moves pixels towards their own grey, or away from it.
    pub saturation: f64,
}

impl ColorJitter {
    /// The upper bound of each part: with larger factors, products would overflow 32 bits.
    pub const MOST: f64 = 100.0;

    /// Returns true if any part is on.
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

/// The integer that stands for the factor 1. A factor times a difference of two bytes fits the 24 bits of an
/// f32's mantissa, so Pillow, which computes in f32, does not round either.
const UNIT: f64 = 16_384.0;
const UNIT_BITS: u32 = 14;

/// Random numbers per image: three factors, in units of 1/16384, and the number of their order.
pub const N_JITTER_DRAWS: usize = 4;

/// Records the random numbers of the images with the numbers `indices`, `[N]`. The result is `[N, 4]` in u32:
/// the factors of brightness, contrast and saturation, in units of 1/16384, and the number of their order in
/// `0..6`.
///
/// # Panics
/// If a part of the jitter is not from 0 to [`ColorJitter::MOST`].
pub fn jitter_draws(tape: &mut Tape, indices: ValueId, jitter: ColorJitter) -> ValueId {
    jitter.factors();
    tape.push_one(JitterDraws { jitter }, &[indices])
}

/// Records the colour jitter of pixels `[N, 3, H, W]` with draws `[N, 4]`; the result has the pixels' shape.
pub fn jitter(tape: &mut Tape, pixels: ValueId, draws: ValueId) -> ValueId {
    tape.push_one(Jitter, &[pixels, draws])
}

/// `indices -> draws`
#[derive(Clone, Copy, Debug)]
pub struct JitterDraws {
    /// The strength of the jitter.
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
            // The counter's third word is 0 in `augment.draws`, so the two random streams differ.
            let random = philox([index, args.step.epoch, 1, 0], args.step.seed);
            for ((draw, word), (least, n)) in draws.iter_mut().zip(random).zip(factors) {
                *draw = least + below(word, n);
            }
            draws[3] = below(random[3], 6);
        }
    }
}

/// `pixels, draws -> jittered`
#[derive(Clone, Copy, Debug)]
pub struct Jitter;

impl Op for Jitter {
    fn name(&self) -> &'static str {
        "augment.jitter"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (pixels, draws) = (&inputs[0].shape, &inputs[1].shape);
        let [n, h, w] = sizes(pixels);
        assert_eq!(draws, &[n, N_JITTER_DRAWS], "augment: {n} images, draws {draws:?}");
        assert!((h * w).is_multiple_of(4), "augment: {h}x{w} pixels are not a multiple of 4");
        let element = ElementType::U8;
        vec![OutputSpec { name: "jittered", shape: pixels.clone(), element }]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [n, h, w] = sizes(io.input_shape(0));
        let shader = Shader::new("augment/jitter").constants(&[("IMAGES", n), ("PIXELS", h * w)]);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(shader, &bindings, grid_of_workgroups(n))
    }
}

impl Reference for Jitter {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [_, h, w] = sizes(args.io.input_shape(0));
        // wgpu runs on little-endian machines, so the bytes of a word are four pixels in order.
        let pixels: &[u8] = bytemuck::cast_slice(args.inputs[0].words());
        let jittered: &mut [u8] = bytemuck::cast_slice_mut(args.outputs[0].words());
        let draws = args.inputs[1].words().par_chunks(N_JITTER_DRAWS);
        let images = jittered.par_chunks_mut(3 * h * w).zip(pixels.par_chunks(3 * h * w));
        images.zip(draws).for_each(|((jittered, pixels), draws)| {
            jittered.copy_from_slice(pixels);
            for turn in 0..3 {
                let which = change_at(turn, draws[3]);
                change(jittered, which, draws[which] as i32);
            }
        });
    }
}

/// Returns the change at position `turn` of an order: 0 brightness, 1 contrast, 2 saturation. The six orders
/// are the three cyclic shifts of (0, 1, 2) and the three of (0, 2, 1).
fn change_at(turn: usize, order: u32) -> usize {
    let order = order as usize;
    (order / 2 + turn * (1 + order % 2)) % 3
}

/// Changes an image `[3, H, W]` in place. `which` selects the point that colours move to or from: black, the
/// image's mean grey, or the pixel's grey.
fn change(image: &mut [u8], which: usize, factor: i32) {
    let n = image.len() / 3;
    let grey_at = |image: &[u8], at: usize| grey([image[at], image[n + at], image[2 * n + at]]);
    let mean = match which {
        1 => {
            let sum: i32 = (0..n).map(|at| grey_at(image, at)).sum();
            // Rounded to nearest.
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

/// The luma of ITU-R BT.601, in units of 1/65536, rounded to the nearest: Pillow's.
fn grey([r, g, b]: [u8; 3]) -> i32 {
    (19_595 * i32::from(r) + 38_470 * i32::from(g) + 7_471 * i32::from(b) + 32_768) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_once() {
        let order = |number| [0, 1, 2].map(|turn| change_at(turn, number));
        let mut orders: Vec<[usize; 3]> = (0..6).map(order).collect();
        orders.sort_unstable();
        assert_eq!(orders, [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]);
    }

    #[test]
    fn factors_are_torchvisions() {
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

    /// The largest factor is 101, times the largest difference of two bytes: this is the case that the bound
    /// allows.
    #[test]
    fn the_largest_factor_fits() {
        let most = ((1.0 + ColorJitter::MOST) * UNIT) as i32;
        let changed = |mut image: Vec<u8>, which| {
            change(&mut image, which, most);
            image
        };
        // First two pixels, (0, 2, 0) and (1, 255, 0). Then a black and a white pixel, with mean 128.
        assert_eq!(changed(vec![0, 1, 2, 255, 0, 0], 0), [0, 101, 202, 255, 0, 0]);
        assert_eq!(changed(vec![0, 255, 0, 255, 0, 255], 1), [0, 255, 0, 255, 0, 255]);
        // The greys are 1 and 150.
        assert_eq!(changed(vec![0, 1, 2, 255, 0, 0], 2), [0, 0, 102, 255, 0, 0]);
    }
}
