//! Average pooling with any window, stride and padding. The zeros of the padding count in the mean, as with PyTorch's
//! default `count_include_pad=True`. The window of global average pooling is the whole plane.
//!
//! x `[N, H, W, C]` → y `[N, OH, OW, C]`.
//!
//! Shaders: `shaders/avg_pool2d/`. Derivation: `docs/ops/avg_pool2d.md`.

use rayon::prelude::*;

use super::max_pool2d::PoolGeometry;
use super::{Case, OpTests, Window, case::Fill, nhwc};
use crate::kernel::{Binding, Launch, Real, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records an average pool: x `[N, H, W, C]` → `[N, OH, OW, C]`.
///
/// # Panics
/// If the padding is more than half the window.
pub fn avg_pool2d(tape: &mut Tape, x: ValueId, window: Window) -> ValueId {
    tape.push_one(AvgPool2d { window }, &[x])
}

/// Records global average pooling, the mean over the plane: `[N, H, W, C]` → `[N, 1, 1, C]`.
pub fn global_avg_pool2d(tape: &mut Tape, x: ValueId) -> ValueId {
    let [_, h, w, _] = nhwc("global_avg_pool2d", tape.shape(x));
    let window = Window { size: [h, w], stride: [1, 1], padding: [0, 0] };
    tape.push_one(AvgPool2d { window }, &[x])
}

/// Average pooling: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2d {
    /// The window.
    pub window: Window,
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d.forward"
    }

    fn attributes(&self) -> String {
        self.window.to_string()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let g = PoolGeometry::new("avg_pool2d", self.window, &inputs[0].shape);
        vec![OutputSpec::real("pooled", &g.output_shape())]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let x_shape = tape.shape(node.inputs[0]).try_into().expect("x has four axes");
        let op = AvgPool2dBackward { window: self.window, x_shape };
        vec![Some(tape.push_one(op, &[d_y]))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        (io.output(0).n_elements() * self.window.area()) as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = PoolGeometry::new("avg_pool2d", self.window, io.input_shape(0));
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(g.shader("avg_pool2d/forward"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for AvgPool2d {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = PoolGeometry::new("avg_pool2d", self.window, args.io.input_shape(0));
        let x = args.inputs[0].real().par_chunks(g.input_image());
        let y = args.outputs[0].real().par_chunks_mut(g.output_image());
        let area = T::from_count(self.window.area());
        y.zip(x).for_each(|(y, x)| {
            for (ix, y) in y.iter_mut().enumerate() {
                let (out, c) = (ix / g.channels, ix % g.channels);
                *y = window_sum(&g, x, [out / g.out[1], out % g.out[1]], c) / area;
            }
        });
    }
}

/// Returns the sum of channel `c` of an image over the window of an output pixel. Each row of the window is summed
/// alone, and the row sums are added: shorter sums have smaller rounding errors.
fn window_sum<T: Real>(g: &PoolGeometry, x: &[T], [oy, ox]: [usize; 2], c: usize) -> T {
    let [kernel_h, kernel_w] = g.window.size;
    let mut sum = T::ZERO;
    for row in (0..kernel_h).filter_map(|ky| g.window.source(0, oy, ky, g.plane[0])) {
        let mut row_sum = T::ZERO;
        for column in (0..kernel_w).filter_map(|kx| g.window.source(1, ox, kx, g.plane[1])) {
            row_sum += x[(row * g.plane[1] + column) * g.channels + c];
        }
        sum += row_sum;
    }
    sum
}

/// The gradient of average pooling: `d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2dBackward {
    /// The window.
    pub window: Window,
    /// The shape of x, `[N, H, W, C]`.
    pub x_shape: [usize; 4],
}

impl Op for AvgPool2dBackward {
    fn name(&self) -> &'static str {
        "avg_pool2d.backward"
    }

    fn attributes(&self) -> String {
        self.window.to_string()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let y = PoolGeometry::new("avg_pool2d", self.window, &self.x_shape).output_shape();
        let d_y = &inputs[0].shape;
        assert_eq!(d_y, &y, "avg_pool2d: y has shape {y:?}, but its gradient {d_y:?}");
        vec![OutputSpec::real("pooled.d_x", &self.x_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        (io.input(0).n_elements() * self.window.area()) as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = PoolGeometry::new("avg_pool2d", self.window, &self.x_shape);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(g.shader("avg_pool2d/backward"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for AvgPool2dBackward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = PoolGeometry::new("avg_pool2d", self.window, &self.x_shape);
        let d_y = args.inputs[0].real().par_chunks(g.output_image());
        let d_x = args.outputs[0].real().par_chunks_mut(g.input_image());
        let area = T::from_count(self.window.area());
        d_x.zip(d_y).for_each(|(d_x, d_y)| {
            d_x.fill(T::ZERO);
            g.each_source(|out, _, source| {
                for c in 0..g.channels {
                    d_x[source * g.channels + c] += d_y[out * g.channels + c];
                }
            });
            d_x.iter_mut().for_each(|d_x| *d_x /= area);
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "avg_pool2d", cases };

fn case(x: [usize; 4], window: Window) -> Case {
    Case::new(format!("{x:?}, {window}"), window.area(), move |tape, inputs| {
        vec![avg_pool2d(tape, inputs[0], window)]
    })
    .real("x", &x, Fill::Normal)
}

fn cases() -> Vec<Case> {
    let global = Case::new("global, [3, 5, 7, 6]", 35, |tape, inputs| {
        vec![global_avg_pool2d(tape, inputs[0])]
    });
    vec![
        case([2, 8, 6, 5], Window::square(2, 2, 0)),
        case([2, 15, 17, 6], Window::square(3, 2, 1)),
        case([2, 5, 8, 3], Window { size: [3, 2], stride: [1, 3], padding: [1, 0] }),
        global.real("x", &[3, 5, 7, 6], Fill::Normal),
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
        let y = avg_pool2d(&mut tape, x, Window::square(3, 2, 1));
        assert_eq!(tape.shape(y), [2, 8, 9, 6]);
        let y = global_avg_pool2d(&mut tape, x);
        assert_eq!(tape.shape(y), [2, 1, 1, 6]);
    }
}
