//! Average pooling with any window, stride and padding, and adaptive average pooling, whose windows divide the plane
//! into a given number of rows and columns. The window of global average pooling is the whole plane.
//!
//! x `[N, H, W, C]` → y `[N, OH, OW, C]`.
//!
//! Shaders: `shaders/avg_pool2d/`. Derivation: `docs/ops/avg_pool2d.md`.

mod windows;

use super::{Case, OpTests, Pool, Window, case::Fill, nhwc};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

pub use windows::Windows;

/// Records an average pool: x `[N, H, W, C]` → `[N, OH, OW, C]`. `pool` is a [`Pool`], a [`Window`], or the size of
/// square windows without overlap. With `count_include_pad`, the zeros of the padding count in the mean; without it, the
/// mean is that of the pixels of the plane alone.
///
/// # Panics
/// If no window fits, or the padding is more than half the window.
pub fn avg_pool2d(
    tape: &mut Tape,
    x: ValueId,
    pool: impl Into<Pool>,
    count_include_pad: bool,
) -> ValueId {
    let windows = Windows::Sliding { pool: pool.into(), count_include_pad };
    tape.push_one(AvgPool2d { windows }, &[x])
}

/// Records global average pooling, the mean over the plane: `[N, H, W, C]` → `[N, 1, 1, C]`.
pub fn global_avg_pool2d(tape: &mut Tape, x: ValueId) -> ValueId {
    let [_, h, w, _] = nhwc("global_avg_pool2d", tape.shape(x));
    avg_pool2d(tape, x, Window { size: [h, w], stride: [1, 1], padding: [0, 0] }, true)
}

/// Records adaptive average pooling to planes of `[OH, OW]`: `[N, H, W, C]` → `[N, OH, OW, C]`. Where OH divides H and
/// OW divides W, all windows have one size, and the op is a plain average pool.
///
/// # Panics
/// If OH or OW is 0.
pub fn adaptive_avg_pool2d(tape: &mut Tape, x: ValueId, out: [usize; 2]) -> ValueId {
    assert!(!out.contains(&0), "adaptive_avg_pool2d: planes of {out:?} have no pixel");
    let [_, h, w, _] = nhwc("adaptive_avg_pool2d", tape.shape(x));
    if h.is_multiple_of(out[0]) && w.is_multiple_of(out[1]) {
        let size = [h / out[0], w / out[1]];
        return avg_pool2d(tape, x, Window { size, stride: size, padding: [0, 0] }, true);
    }
    tape.push_one(AvgPool2d { windows: Windows::Adaptive { out } }, &[x])
}

/// Average pooling: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2d {
    /// The windows.
    pub windows: Windows,
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d.forward"
    }

    fn attributes(&self) -> String {
        self.windows.to_string()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("pooled", &self.windows.sizes(&inputs[0].shape).output_shape())]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let x_shape = tape.shape(node.inputs[0]).try_into().expect("x has four axes");
        vec![Some(tape.push_one(AvgPool2dBackward { windows: self.windows, x_shape }, &[d_y]))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        self.windows.flops(io.input_shape(0))
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let files = ["avg_pool2d/forward", "avg_pool2d/forward_uneven"];
        let shader = self.windows.shader(files, io.input_shape(0));
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for AvgPool2d {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let sizes = self.windows.sizes(args.io.input_shape(0));
        let (x, y) = (args.inputs[0].real(), args.outputs[0].real());
        for_each_chunk(y, sizes.output_image(), &|image, y| {
            let x = chunk(x, image, sizes.input_image());
            for (out, y) in y.chunks_mut(sizes.channels).enumerate() {
                let rows = self.windows.span(&sizes, 0, out / sizes.out[1]);
                let columns = self.windows.span(&sizes, 1, out % sizes.out[1]);
                let divisor = T::from_count(rows.divisor * columns.divisor);
                for (c, y) in y.iter_mut().enumerate() {
                    // Each row is summed alone, and the row sums are added: shorter sums have smaller rounding errors.
                    let mut sum = T::ZERO;
                    for row in rows.plane.clone() {
                        let mut row_sum = T::ZERO;
                        for column in columns.plane.clone() {
                            row_sum += x[(row * sizes.plane[1] + column) * sizes.channels + c];
                        }
                        sum += row_sum;
                    }
                    *y = sum / divisor;
                }
            }
        });
    }
}

/// The gradient of average pooling: `d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2dBackward {
    /// The windows.
    pub windows: Windows,
    /// The shape of x, `[N, H, W, C]`.
    pub x_shape: [usize; 4],
}

impl Op for AvgPool2dBackward {
    fn name(&self) -> &'static str {
        "avg_pool2d.backward"
    }

    fn attributes(&self) -> String {
        self.windows.to_string()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        self.windows.sizes(&self.x_shape).check_gradient("avg_pool2d", &inputs[0].shape);
        vec![OutputSpec::real("pooled.d_x", &self.x_shape)]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        self.windows.flops(&self.x_shape)
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let files = ["avg_pool2d/backward", "avg_pool2d/backward_uneven"];
        let shader = self.windows.shader(files, &self.x_shape);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for AvgPool2dBackward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let sizes = self.windows.sizes(&self.x_shape);
        let (d_y, d_x) = (args.inputs[0].real(), args.outputs[0].real());
        // A divisor that all windows share divides the sum. Other divisors divide the terms.
        let shared = self.windows.shared_divisor(&sizes);
        for_each_chunk(d_x, sizes.input_image(), &|image, d_x| {
            let d_y = chunk(d_y, image, sizes.output_image());
            d_x.fill(T::ZERO);
            for (out, d_y) in d_y.chunks(sizes.channels).enumerate() {
                let rows = self.windows.span(&sizes, 0, out / sizes.out[1]);
                let columns = self.windows.span(&sizes, 1, out % sizes.out[1]);
                let divisor = T::from_count(match shared {
                    Some(_) => 1,
                    None => rows.divisor * columns.divisor,
                });
                for row in rows.plane {
                    for column in columns.plane.clone() {
                        let d_x = &mut d_x[(row * sizes.plane[1] + column) * sizes.channels..];
                        for (d_x, &d_y) in d_x.iter_mut().zip(d_y) {
                            *d_x += d_y / divisor;
                        }
                    }
                }
            }
            if let Some(shared) = shared.map(T::from_count) {
                d_x.iter_mut().for_each(|d_x| *d_x /= shared);
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "avg_pool2d", cases };

fn case(x: [usize; 4], pool: impl Into<Pool>, count_include_pad: bool) -> Case {
    let pool = pool.into();
    let windows = Windows::Sliding { pool, count_include_pad };
    let record =
        move |tape: &mut Tape, x: &[ValueId]| vec![avg_pool2d(tape, x[0], pool, count_include_pad)];
    let name = format!("{x:?}, {windows}");
    Case::new(name, pool.window.area(), record).real("x", &x, Fill::Normal)
}

fn adaptive(x: [usize; 4], out: [usize; 2]) -> Case {
    let record = move |tape: &mut Tape, x: &[ValueId]| vec![adaptive_avg_pool2d(tape, x[0], out)];
    let area = x[1].div_ceil(out[0]) * x[2].div_ceil(out[1]);
    Case::new(format!("adaptive, {x:?} to {out:?}"), area, record).real("x", &x, Fill::Normal)
}

fn cases() -> Vec<Case> {
    let global = Case::new("global, [3, 5, 7, 6]", 35, |tape, inputs| {
        vec![global_avg_pool2d(tape, inputs[0])]
    });
    let ceil = |window| Pool { window, ceil_mode: true };
    let uneven = Window { size: [3, 2], stride: [1, 3], padding: [1, 0] };
    vec![
        case([2, 8, 6, 5], Window::square(2, 2, 0), true),
        case([2, 15, 17, 6], Window::square(3, 2, 1), true),
        case([2, 5, 8, 3], uneven, true),
        global.real("x", &[3, 5, 7, 6], Fill::Normal),
        case([2, 5, 8, 3], uneven, false),
        case([2, 2, 2, 3], ceil(Window::square(3, 2, 0)), true),
        case([2, 7, 9, 5], ceil(Window::square(2, 2, 0)), false),
        case([2, 8, 6, 5], ceil(Window::square(3, 2, 1)), false),
        case([2, 8, 6, 5], ceil(Window::square(3, 2, 1)), true),
        adaptive([2, 6, 8, 3], [3, 2]),
        adaptive([2, 3, 5, 6], [4, 2]),
        adaptive([2, 7, 9, 5], [3, 4]),
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
        let y = avg_pool2d(&mut tape, x, Window::square(3, 2, 1), true);
        assert_eq!(tape.shape(y), [2, 8, 9, 6]);
        let y = global_avg_pool2d(&mut tape, x);
        assert_eq!(tape.shape(y), [2, 1, 1, 6]);
        for out in [[4, 4], [5, 17], [16, 1]] {
            let y = adaptive_avg_pool2d(&mut tape, x, out);
            assert_eq!(tape.shape(y), [2, out[0], out[1], 6]);
        }
    }
}
