//! Blur pooling: a fixed low-pass filter of 3x3 and every second pixel of the result. The plane is mirrored at its
//! border.
//!
//! x `[N, H, W, C]` → y `[N, OH, OW, C]` with OH = H / 2 and OW = W / 2, rounded up.
//!
//! Shaders: `shaders/blur_pool/`. Derivation: `docs/ops/blur_pool.md`.

use super::pool::PlaneSizes;
use super::{Case, OpTests, case::Fill, mirrored};
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::kernel::{Binding, Launch, Real, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records a blur pool: x `[N, H, W, C]` → `[N, OH, OW, C]`, half the rows and columns, rounded up.
///
/// # Panics
/// If the plane has fewer than 2 rows or columns, which cannot be mirrored.
pub fn blur_pool(tape: &mut Tape, x: ValueId) -> ValueId {
    tape.push_one(BlurPool, &[x])
}

/// Four times the filter along one axis. The filter of the plane is the product of two such filters, divided by 16.
const FILTER: [usize; 3] = [1, 2, 1];

fn sizes(x: &[usize]) -> PlaneSizes {
    let sizes = PlaneSizes::new("blur_pool", x, |plane| plane.map(|extent| extent.div_ceil(2)));
    let [h, w] = sizes.plane;
    assert!(
        h > 1 && w > 1,
        "blur_pool: a plane of {h}x{w} cannot be mirrored; it needs 2 rows and columns"
    );
    sizes
}

/// Returns the row or column under position `tap` of window `out` along an axis of `extent` positions.
fn source(out: usize, tap: usize, extent: usize) -> usize {
    mirrored((2 * out + tap) as isize - 1, extent)
}

/// Returns four times the weight of position `at` in window `out` along an axis of `extent` positions.
fn weight(out: usize, at: usize, extent: usize) -> usize {
    (0..3).filter(|&tap| source(out, tap, extent) == at).map(|tap| FILTER[tap]).sum()
}

/// Blur pooling: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct BlurPool;

impl Op for BlurPool {
    fn name(&self) -> &'static str {
        "blur_pool.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("blurred", &sizes(&inputs[0].shape).output_shape())]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let x_shape = tape.shape(node.inputs[0]).try_into().expect("x has four axes");
        vec![Some(tape.push_one(BlurPoolBackward { x_shape }, &[d_y]))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        2 * 9 * io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = sizes(io.input_shape(0)).shader("blur_pool/forward");
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for BlurPool {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let PlaneSizes { plane: [h, w], channels, out: [oh, ow], .. } =
            sizes(args.io.input_shape(0));
        let (x, y) = (args.inputs[0].real(), args.outputs[0].real());
        let (two, sixteenth) = (T::from_count(2), T::from_f64(1.0 / 16.0));
        for_each_chunk(y, ow * channels, &|row, y| {
            let (image, oy) = (row / oh, row % oh);
            let rows = [0, 1, 2].map(|tap| image * h + source(oy, tap, h));
            for (ox, y) in y.chunks_mut(channels).enumerate() {
                let columns = [0, 1, 2].map(|tap| source(ox, tap, w));
                for (c, y) in y.iter_mut().enumerate() {
                    let [a, b, c] = rows.map(|row| {
                        let [a, b, c] = columns.map(|column| x[(row * w + column) * channels + c]);
                        a + two * b + c
                    });
                    *y = (a + two * b + c) * sixteenth;
                }
            }
        });
    }
}

/// The gradient of blur pooling: `d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct BlurPoolBackward {
    /// The shape of x, `[N, H, W, C]`.
    pub x_shape: [usize; 4],
}

impl Op for BlurPoolBackward {
    fn name(&self) -> &'static str {
        "blur_pool.backward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        sizes(&self.x_shape).check_gradient("blur_pool", &inputs[0].shape);
        vec![OutputSpec::real("blurred.d_x", &self.x_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        2 * 9 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = sizes(&self.x_shape).shader("blur_pool/backward");
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for BlurPoolBackward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let PlaneSizes { plane: [h, w], channels, out: [oh, ow], .. } = sizes(&self.x_shape);
        let (d_y, d_x) = (args.inputs[0].real(), args.outputs[0].real());
        // The windows that contain position `at` are `at / 2` and, for an odd position, the window after it.
        let over = |at: usize, n_windows: usize| at / 2..n_windows.min(at.div_ceil(2) + 1);
        for_each_chunk(d_x, w * channels, &|row, d_x| {
            let (image, at_row) = (row / h, row % h);
            for (at_column, d_x) in d_x.chunks_mut(channels).enumerate() {
                d_x.fill(T::ZERO);
                for oy in over(at_row, oh) {
                    for ox in over(at_column, ow) {
                        let weight = weight(oy, at_row, h) * weight(ox, at_column, w);
                        let weight = T::from_f64(weight as f64 / 16.0);
                        let d_y = &d_y[((image * oh + oy) * ow + ox) * channels..];
                        for (d_x, &d_y) in d_x.iter_mut().zip(d_y) {
                            *d_x += weight * d_y;
                        }
                    }
                }
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "blur_pool", cases };

fn cases() -> Vec<Case> {
    let case = |x: [usize; 4]| {
        Case::new(format!("{x:?}"), 9, |tape, x| vec![blur_pool(tape, x[0])]).real(
            "x",
            &x,
            Fill::Normal,
        )
    };
    vec![case([2, 8, 6, 5]), case([2, 7, 9, 3]), case([1, 2, 3, 4]), case([3, 5, 2, 1])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{ElementType, Mode};

    #[test]
    fn the_weights_of_every_window_sum_to_one() {
        for extent in 2..8 {
            for out in 0..usize::div_ceil(extent, 2) {
                let sum: usize = (0..extent).map(|at| weight(out, at, extent)).sum();
                assert_eq!(sum, 4, "window {out} of {extent} positions");
            }
        }
    }

    #[test]
    #[should_panic(expected = "a plane of 1x8 cannot be mirrored")]
    fn a_single_row_is_refused() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[2, 1, 8, 3]);
        blur_pool(&mut tape, x);
    }
}
