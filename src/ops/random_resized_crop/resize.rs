//! Boxes of pictures, resized with a triangle filter.

use std::ops::RangeInclusive;

use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, ElementType, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// The largest number of rows or columns of a picture. With larger sides, sums would overflow 32 bits.
pub const MOST_SIDE: u32 = 4096;

/// The range of rows and columns of a resized picture. Outside it, sums would overflow 32 bits.
pub const OUTPUT_SIDES: RangeInclusive<usize> = 5..=1024;

/// Records the resized boxes of pictures. `pixels`, `[N, bytes]`, are bytes; a picture of h rows and w columns fills the
/// first `channels * h * w` bytes of its row, as `[channels, h, w]`. `sizes`, `[N, 2]`, are h and w, each from 1 to
/// [`MOST_SIDE`]; `boxes`, `[N, 4]`, are the result of [`boxes`](super::boxes()). The result is `[N, channels, H, W]`
/// in bytes, where `to` is `[H, W]`.
pub fn resize(
    tape: &mut Tape,
    pixels: ValueId,
    sizes: ValueId,
    boxes: ValueId,
    channels: usize,
    to: [usize; 2],
) -> ValueId {
    tape.push_one(Resize { channels, to }, &[pixels, sizes, boxes])
}

/// The resized boxes: `pixels, sizes, boxes -> resized`.
#[derive(Clone, Copy, Debug)]
pub struct Resize {
    /// The number of channels.
    pub channels: usize,
    /// The size of the result, `[H, W]`.
    pub to: [usize; 2],
}

impl Op for Resize {
    fn name(&self) -> &'static str {
        "random_resized_crop.resize"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let n = inputs[0].shape[0];
        let (sizes, boxes) = (&inputs[1].shape, &inputs[2].shape);
        assert_eq!(sizes, &[n, 2], "random_resized_crop: {n} pictures, sizes {sizes:?}");
        assert_eq!(boxes, &[n, 4], "random_resized_crop: {n} pictures, boxes {boxes:?}");
        let [h, w] = self.to;
        let is_side = |side| OUTPUT_SIDES.contains(side);
        assert!(self.to.iter().all(is_side), "random_resized_crop: {h}x{w} is not from 5 to 1024");
        let (shape, element) = (vec![n, self.channels, h, w], ElementType::U8);
        vec![OutputSpec { name: "resized", shape, element }]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [h, w] = self.to;
        let shader = Shader::new("random_resized_crop/resize").constants(&[
            ("IMAGES", io.input_shape(0)[0]),
            ("CHANNELS", self.channels),
            ("HEIGHT", h),
            ("WIDTH", w),
            ("PICTURE_BYTES", io.input_shape(0)[1..].iter().product()),
        ]);
        let bindings =
            [Binding::Input(0), Binding::Input(1), Binding::Input(2), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements().div_ceil(4)))
    }
}

impl Reference for Resize {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let n_bytes: usize = args.io.input_shape(0)[1..].iter().product();
        let [h, w] = self.to;
        // A u32 word packs four bytes, the first in the lowest bits. wgpu runs on little-endian machines, where the bytes
        // of the words are the pixels in order.
        let pixels: &[u8] = bytemuck::cast_slice(args.inputs[0].words());
        let resized: &mut [u8] = bytemuck::cast_slice_mut(args.outputs[0].words());
        let (sizes, boxes) = (args.inputs[1].words(), args.inputs[2].words());
        // The last word may have bytes after the last image.
        let (resized, rest) = resized.split_at_mut(args.io.output(0).n_elements());
        rest.fill(0);
        for_each_chunk(resized, h * w, &|plane, resized| {
            let (image, channel) = (plane / self.channels, plane % self.channels);
            let [rows, columns] = [0, 1].map(|axis| sizes[2 * image + axis] as usize);
            let [top, left, height, width] = [0, 1, 2, 3].map(|i| boxes[4 * image + i]);
            let pixels = chunk(pixels, image, n_bytes);
            let plane = &pixels[channel * rows * columns..][..rows * columns];
            let corner = &plane[top as usize * columns + left as usize..];
            for (y, resized) in resized.chunks_exact_mut(w).enumerate() {
                let of_rows = Filter::new(y, height, h);
                for (x, byte) in resized.iter_mut().enumerate() {
                    *byte = mean(corner, columns, of_rows, Filter::new(x, width, w));
                }
            }
        });
    }
}

/// The triangle filter of one output position along one axis.
///
/// The weight of an input position is the height of a triangle that is 0 at the distance `reach` from `centre`. Positions
/// are in units of half an input position divided by the number of outputs, so weights are integers.
#[derive(Clone, Copy)]
struct Filter {
    n_outputs: u32,
    centre: u32,
    reach: u32,
    /// The first input position, and the one after the last. Both ends may have the weight 0.
    range: [u32; 2],
    /// The sum of the weights.
    total: u32,
}

impl Filter {
    /// Returns the filter of output position `position`, where `length` input positions become `n_outputs`.
    fn new(position: usize, length: u32, n_outputs: usize) -> Self {
        let n_outputs = n_outputs as u32;
        let centre = (2 * position as u32 + 1) * length;
        let reach = 2 * length.max(n_outputs);
        let first = centre.saturating_sub(reach + n_outputs) / (2 * n_outputs);
        let end = ((centre + reach + n_outputs) / (2 * n_outputs)).min(length);
        let mut filter = Self { n_outputs, centre, reach, range: [first, end], total: 0 };
        filter.total = filter.weights().map(|(_, weight)| weight).sum();
        filter
    }

    /// Returns each input position with its weight.
    fn weights(self) -> impl Iterator<Item = (usize, u32)> {
        (self.range[0]..self.range[1]).map(move |ix| {
            let distance = ((2 * ix + 1) * self.n_outputs).abs_diff(self.centre);
            (ix as usize, self.reach.saturating_sub(distance))
        })
    }
}

/// Returns the mean of a box with the weights of two filters, rounded to the nearest. The first byte of `pixels` is the
/// box's first pixel, and the next row begins `columns` bytes later.
fn mean(pixels: &[u8], columns: usize, of_rows: Filter, of_columns: Filter) -> u8 {
    // A weight times a mean in units of 1/2^8 may exceed 32 bits, so the whole numbers and the fractions have sums of
    // their own.
    let (mut sum, mut sum_of_fractions) = (0, 0);
    for (row, weight) in of_rows.weights() {
        let mean = row_mean(&pixels[row * columns..], of_columns);
        sum += weight * (mean >> 8);
        sum_of_fractions += weight * (mean & 0xff);
    }
    let total = of_rows.total;
    let rest = ((sum % total) << 8) + sum_of_fractions;
    (sum / total + ((rest + total / 2) / total + 128) / 256) as u8
}

/// Returns the mean of a row's pixels with the weights of a filter, in units of 1/2^8.
fn row_mean(row: &[u8], of_columns: Filter) -> u32 {
    let total = of_columns.total;
    let sum: u32 = of_columns.weights().map(|(ix, weight)| weight * u32::from(row[ix])).sum();
    ((sum / total) << 8) + (((sum % total) << 8) + total / 2) / total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds with overflow checks fail here if a sum exceeds 32 bits.
    #[test]
    fn a_white_picture_stays_white_at_the_largest_sides() {
        let white = vec![255; MOST_SIDE as usize];
        for n_outputs in [*OUTPUT_SIDES.start(), *OUTPUT_SIDES.end()] {
            for position in [0, n_outputs / 2, n_outputs - 1] {
                let filter = Filter::new(position, MOST_SIDE, n_outputs);
                // Every row is the same, so a row of the picture begins at the same byte.
                assert_eq!(mean(&white, 0, filter, filter), 255);
                let largest = u64::from(filter.total) * 512;
                assert!(largest < 1 << 32, "{n_outputs}: {largest}");
            }
        }
    }

    #[test]
    fn weights_of_twice_the_size_are_quarters() {
        let filter = Filter::new(3, 4, 8);
        let weights: Vec<_> = filter.weights().filter(|(_, weight)| *weight > 0).collect();
        assert_eq!((weights, filter.total), (vec![(1, 12), (2, 4)], 16));
    }
}
