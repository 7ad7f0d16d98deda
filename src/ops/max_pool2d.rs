//! Max pooling with any window, stride and padding, and with PyTorch's `ceil_mode`. The op stores the position of each
//! maximum, and the backward pass adds the gradient at this position. As in PyTorch, the maximum of equal values is the
//! first in row-major order, and NaN counts as larger than any number.
//!
//! x `[N, H, W, C]` → y `[N, OH, OW, C]` and index, which has the shape of y, in u32: the position `ky · KW + kx` in
//! the window.
//!
//! Shaders: `shaders/max_pool2d/`. Derivation: `docs/ops/max_pool2d.md`.

use std::ops::Range;

use super::pool::PlaneSizes;
use super::{Case, OpTests, Pool, Window, case::Fill};
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk, for_each_chunk_of_two};
use crate::kernel::{Binding, Launch, Real, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records a max pool and returns y `[N, OH, OW, C]`. The positions of the maxima stay on the tape for the backward
/// pass. `pool` is a [`Pool`], a [`Window`], or the size of square windows without overlap.
///
/// # Panics
/// If no window fits, or the padding is more than half the window. A window could then lie in the padding alone.
pub fn max_pool2d(tape: &mut Tape, x: ValueId, pool: impl Into<Pool>) -> ValueId {
    tape.push(MaxPool2d { pool: pool.into() }, &[x])[0]
}

/// Max pooling: `x -> y, index`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    /// The windows.
    pub pool: Pool,
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d.forward"
    }

    fn attributes(&self) -> String {
        self.pool.to_string()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let shape = self.pool.sizes("max_pool2d", &inputs[0].shape).output_shape();
        vec![OutputSpec::real("pooled", &shape), OutputSpec::words("index", &shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let x_shape = tape.shape(node.inputs[0]).try_into().expect("x has four axes");
        let op = MaxPool2dBackward { pool: self.pool, x_shape };
        vec![Some(tape.push_one(op, &[d_y, node.outputs[1]]))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        (io.output(0).n_elements() * self.pool.window.area()) as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let sizes = self.pool.sizes("max_pool2d", io.input_shape(0));
        let bindings = [Binding::Input(0), Binding::Output(0), Binding::Output(1)];
        let shader = self.pool.shader("max_pool2d/forward", &sizes);
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for MaxPool2d {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let sizes = self.pool.sizes("max_pool2d", args.io.input_shape(0));
        let x = args.inputs[0].real();
        let [y, index] = args.outputs else { panic!("max_pool2d has two outputs") };
        let row = sizes.out[1] * sizes.channels;
        for_each_chunk_of_two((y.real(), row), (index.words(), row), &|row, y, index| {
            let x = chunk(x, row / sizes.out[0], sizes.input_image());
            let oy = row % sizes.out[0];
            let (window, channels) = (self.pool.window, sizes.channels);
            pool_row::<T, LANES>(window, &sizes, oy, whole(channels), x, y, index);
            pool_row::<T, 1>(window, &sizes, oy, rest(channels), x, y, index);
        });
    }
}

/// Computes row `oy` of an image's output for some channels, `L` channels at a time.
fn pool_row<T: Real, const L: usize>(
    window: Window,
    sizes: &PlaneSizes,
    oy: usize,
    channels: Range<usize>,
    x: &[T],
    y: &mut [T],
    index: &mut [u32],
) {
    let rows = inside(window, 0, oy, sizes.plane[0]);
    for ox in 0..sizes.out[1] {
        let columns = inside(window, 1, ox, sizes.plane[1]);
        let at = |ky: usize, kx: usize| {
            let row = oy * window.stride[0] + ky - window.padding[0];
            let column = ox * window.stride[1] + kx - window.padding[1];
            (row * sizes.plane[1] + column) * sizes.channels
        };
        for c in channels.clone().step_by(L) {
            // The output takes the first value of its window, even if the value is −∞.
            let mut largest: [T; L] = lanes(x, at(rows.start, columns.start) + c);
            let mut at_largest = [(rows.start * window.size[1] + columns.start) as u32; L];
            for ky in rows.clone() {
                for kx in columns.clone() {
                    let values: [T; L] = lanes(x, at(ky, kx) + c);
                    let position = (ky * window.size[1] + kx) as u32;
                    for lane in 0..L {
                        let greater = greater_or_nan(values[lane], largest[lane]);
                        largest[lane] = if greater { values[lane] } else { largest[lane] };
                        at_largest[lane] = if greater { position } else { at_largest[lane] };
                    }
                }
            }
            store(y, ox * sizes.channels + c, largest);
            store(index, ox * sizes.channels + c, at_largest);
        }
    }
}

/// Returns the positions of window number `ix` along an axis that are inside the plane.
fn inside(window: Window, axis: usize, ix: usize, extent: usize) -> Range<usize> {
    let (start, padding) = (ix * window.stride[axis], window.padding[axis]);
    let end = (extent + padding).saturating_sub(start).min(window.size[axis]);
    padding.saturating_sub(start)..end
}

/// Returns true if `value` replaces `largest`, the largest value so far: `value` is greater, or it is NaN. A number
/// does not replace a NaN. This function is the CPU reference of `shaders/shared/greater_or_nan.wgsl`.
pub(super) fn greater_or_nan<T: Real>(value: T, largest: T) -> bool {
    // `|` has no branch, unlike `||`, so the compiler can vectorise the loop over channels.
    (value > largest) | value.is_nan()
}

/// The gradient of max pooling: `d_y, index -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2dBackward {
    /// The windows.
    pub pool: Pool,
    /// The shape of x, `[N, H, W, C]`.
    pub x_shape: [usize; 4],
}

impl Op for MaxPool2dBackward {
    fn name(&self) -> &'static str {
        "max_pool2d.backward"
    }

    fn attributes(&self) -> String {
        self.pool.to_string()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        self.pool.sizes("max_pool2d", &self.x_shape).check_gradient("max_pool2d", &inputs[0].shape);
        vec![OutputSpec::real("pooled.d_x", &self.x_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let sizes = self.pool.sizes("max_pool2d", &self.x_shape);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        let shader = self.pool.shader("max_pool2d/backward", &sizes);
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for MaxPool2dBackward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let sizes = self.pool.sizes("max_pool2d", &self.x_shape);
        let (d_y, index) = (args.inputs[0].real(), args.inputs[1].words());
        let row = sizes.plane[1] * sizes.channels;
        for_each_chunk(args.outputs[0].real(), row, &|row, d_x| {
            let image = row / sizes.plane[0];
            let d_y = chunk(d_y, image, sizes.output_image());
            let index = chunk(index, image, sizes.output_image());
            let row = row % sizes.plane[0];
            let (window, channels) = (self.pool.window, sizes.channels);
            d_x.fill(T::ZERO);
            unpool_row::<T, LANES>(window, &sizes, row, whole(channels), d_y, index, d_x);
            unpool_row::<T, 1>(window, &sizes, row, rest(channels), d_y, index, d_x);
        });
    }
}

/// Adds the gradients of all windows over row `row` of an image's input, for some channels, `L` channels at a time.
fn unpool_row<T: Real, const L: usize>(
    window: Window,
    sizes: &PlaneSizes,
    row: usize,
    channels: Range<usize>,
    d_y: &[T],
    index: &[u32],
    d_x: &mut [T],
) {
    let row = row + window.padding[0];
    let first = (row + 1).saturating_sub(window.size[0]).div_ceil(window.stride[0]);
    for oy in first..sizes.out[0].min(row / window.stride[0] + 1) {
        let ky = row - oy * window.stride[0];
        for ox in 0..sizes.out[1] {
            let columns = inside(window, 1, ox, sizes.plane[1]);
            let out = (oy * sizes.out[1] + ox) * sizes.channels;
            for c in channels.clone().step_by(L) {
                let d_y: [T; L] = lanes(d_y, out + c);
                let index: [u32; L] = lanes(index, out + c);
                for kx in columns.clone() {
                    let at = (ky * window.size[1] + kx) as u32;
                    let column = ox * window.stride[1] + kx - window.padding[1];
                    let mut sums: [T; L] = lanes(d_x, column * sizes.channels + c);
                    for lane in 0..L {
                        sums[lane] += if index[lane] == at { d_y[lane] } else { T::ZERO };
                    }
                    store(d_x, column * sizes.channels + c, sums);
                }
            }
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "max_pool2d", cases };

fn case(x: [usize; 4], pool: impl Into<Pool>, fill: Fill) -> Case {
    let pool = pool.into();
    let name = format!("{x:?}, {pool}, {fill:?}");
    let record = move |tape: &mut Tape, x: &[ValueId]| vec![max_pool2d(tape, x[0], pool)];
    Case::new(name, pool.window.area(), record).real("x", &x, fill)
}

fn cases() -> Vec<Case> {
    let ceil = |window| Pool { window, ceil_mode: true };
    vec![
        case([3, 8, 6, 5], Window::square(2, 2, 0), Fill::Coarse),
        case([2, 7, 9, 3], Window::square(2, 2, 0), Fill::Normal),
        case([2, 15, 17, 6], Window::square(3, 2, 1), Fill::Coarse),
        case([2, 4, 4, 7], Window::square(4, 4, 0), Fill::Negative),
        case([2, 5, 8, 3], Window { size: [3, 2], stride: [1, 3], padding: [1, 0] }, Fill::Normal),
        case([2, 2, 2, 3], ceil(Window::square(3, 2, 0)), Fill::Negative),
        case([2, 8, 6, 5], ceil(Window::square(3, 2, 1)), Fill::Negative),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{ElementType, Mode};

    #[test]
    fn shape_rule() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[2, 15, 17, 6]);
        let y = max_pool2d(&mut tape, x, Window::square(3, 2, 1));
        assert_eq!(tape.shape(y), [2, 8, 9, 6]);
        let pool = Pool { window: Window::square(2, 2, 0), ceil_mode: true };
        let y = max_pool2d(&mut tape, x, pool);
        assert_eq!(tape.shape(y), [2, 8, 9, 6]);
    }

    #[test]
    #[should_panic(expected = "is more than half the window")]
    fn refuses_windows_that_could_lie_in_the_padding_alone() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[2, 8, 8, 1]);
        max_pool2d(&mut tape, x, Window::square(2, 2, 2));
    }
}
