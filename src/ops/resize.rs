//! Resizing of planes to any number of rows and columns, by bilinear interpolation or to the nearest pixel.
//!
//! x `[N, H, W, C]` → y `[N, OH, OW, C]`.
//!
//! Shaders: `shaders/resize/`. Derivation: `docs/ops/resize.md`.

mod axis;

use super::pool::PlaneSizes;
use super::{Case, OpTests, case::Fill, nhwc};
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

use axis::Axis;

/// The value of an output pixel whose place in the input lies between pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interpolation {
    /// The value of the pixel before the place: row `oy · H / OH`, rounded down.
    Nearest,
    /// The mean of the four pixels around the place, weighted by their nearness.
    Bilinear {
        /// True if the centres of the corner pixels of input and output lie on one another; false if the corners of
        /// the planes do.
        align_corners: bool,
    },
}

/// Records the resize of x, `[N, H, W, C]`, to `[N, OH, OW, C]`; `out` is `[OH, OW]`. If x has this size already, the
/// function returns x and records no node.
///
/// # Panics
/// If OH or OW is 0.
pub fn resize(
    tape: &mut Tape,
    x: ValueId,
    out: [usize; 2],
    interpolation: Interpolation,
) -> ValueId {
    let [_, h, w, _] = nhwc("resize", tape.shape(x));
    if out == [h, w] {
        return x;
    }
    tape.push_one(Resize { to: To { out, interpolation } }, &[x])
}

/// The attributes of a resize.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct To {
    /// `[OH, OW]`.
    pub out: [usize; 2],
    /// The interpolation.
    pub interpolation: Interpolation,
}

impl To {
    fn sizes(&self, x: &[usize]) -> PlaneSizes {
        let [oh, ow] = self.out;
        assert!(oh > 0 && ow > 0, "resize: planes of {oh}x{ow} have no pixel");
        let sizes = PlaneSizes::new("resize", x, |_| self.out);
        for (from, to) in sizes.plane.into_iter().zip(self.out) {
            // The shaders compute places in u32; 2 · 2³⁰ + 2³⁰ fits.
            assert!(from * to < 1 << 30, "resize: {from} to {to} rows or columns are too many");
        }
        sizes
    }

    fn axes(&self, sizes: &PlaneSizes) -> [Axis; 2] {
        [0, 1].map(|axis| Axis::new(sizes.plane[axis], sizes.out[axis], self.interpolation))
    }

    fn text(&self) -> String {
        let [oh, ow] = self.out;
        let how = match self.interpolation {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear { align_corners: true } => "bilinear, corners aligned",
            Interpolation::Bilinear { align_corners: false } => "bilinear",
        };
        format!("to {oh}x{ow}, {how}")
    }

    fn shader(&self, path: &'static str, x: &[usize]) -> Shader {
        let sizes = self.sizes(x);
        let [rows, columns] = self.axes(&sizes);
        sizes
            .shader(path)
            .constant("NEAREST", self.interpolation == Interpolation::Nearest)
            .constants(&[
                ("STEP_H", rows.step),
                ("ADDED_H", rows.added),
                ("SUBTRACTED_H", rows.subtracted),
                ("UNIT_H", rows.unit),
                ("STEP_W", columns.step),
                ("ADDED_W", columns.added),
                ("SUBTRACTED_W", columns.subtracted),
                ("UNIT_W", columns.unit),
            ])
    }
}

/// Resizing: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Resize {
    /// The size of y and the interpolation.
    pub to: To,
}

impl Op for Resize {
    fn name(&self) -> &'static str {
        "resize.forward"
    }

    fn attributes(&self) -> String {
        self.to.text()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("resized", &self.to.sizes(&inputs[0].shape).output_shape())]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let x_shape = tape.shape(node.inputs[0]).try_into().expect("x has four axes");
        vec![Some(tape.push_one(ResizeBackward { to: self.to, x_shape }, &[d_y]))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        match self.to.interpolation {
            Interpolation::Nearest => 0,
            Interpolation::Bilinear { .. } => 9 * io.output(0).n_elements() as u64,
        }
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = self.to.shader("resize/forward", io.input_shape(0));
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Resize {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let sizes = self.to.sizes(args.io.input_shape(0));
        let [rows, columns] = self.to.axes(&sizes);
        let PlaneSizes { plane: [h, w], channels, out: [oh, ow], .. } = sizes;
        let (x, y) = (args.inputs[0].real(), args.outputs[0].real());
        for_each_chunk(y, ow * channels, &|row, y| {
            let (image, row) = (row / oh, rows.taps::<T>(row % oh));
            let pixel = |row: usize, column: usize| {
                &x[((image * h + row) * w + column) * channels..][..channels]
            };
            for (ox, y) in y.chunks_mut(channels).enumerate() {
                let column = columns.taps::<T>(ox);
                let (a, b) = (pixel(row.low, column.low), pixel(row.low, column.high));
                let (c, d) = (pixel(row.high, column.low), pixel(row.high, column.high));
                if self.to.interpolation == Interpolation::Nearest {
                    y.copy_from_slice(a);
                    continue;
                }
                let mean = |low: T, high: T, weight: T| (T::ONE - weight) * low + weight * high;
                for (ix, y) in y.iter_mut().enumerate() {
                    let above = mean(a[ix], b[ix], column.weight);
                    let below = mean(c[ix], d[ix], column.weight);
                    *y = mean(above, below, row.weight);
                }
            }
        });
    }
}

/// The gradient of a resize: `d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct ResizeBackward {
    /// The size of y and the interpolation.
    pub to: To,
    /// The shape of x, `[N, H, W, C]`.
    pub x_shape: [usize; 4],
}

impl Op for ResizeBackward {
    fn name(&self) -> &'static str {
        "resize.backward"
    }

    fn attributes(&self) -> String {
        self.to.text()
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        self.to.sizes(&self.x_shape).check_gradient("resize", &inputs[0].shape);
        vec![OutputSpec::real("resized.d_x", &self.x_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        let n = io.input(0).n_elements() as u64;
        match self.to.interpolation {
            Interpolation::Nearest => n,
            // Each element of d_y goes into four elements of d_x, with a multiplication and an addition.
            Interpolation::Bilinear { .. } => 8 * n,
        }
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = self.to.shader("resize/backward", &self.x_shape);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for ResizeBackward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let sizes = self.to.sizes(&self.x_shape);
        let [rows, columns] = self.to.axes(&sizes);
        let PlaneSizes { plane: [h, w], channels, out: [oh, ow], .. } = sizes;
        let (d_y, d_x) = (args.inputs[0].real(), args.outputs[0].real());
        for_each_chunk(d_x, w * channels, &|row, d_x| {
            let (image, row) = (row / h, row % h);
            for (column, d_x) in d_x.chunks_mut(channels).enumerate() {
                d_x.fill(T::ZERO);
                for oy in rows.readers(row) {
                    for ox in columns.readers(column) {
                        let weight = rows.weight::<T>(oy, row) * columns.weight::<T>(ox, column);
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
pub const ENTRY: OpTests = OpTests { stem: "resize", cases };

fn cases() -> Vec<Case> {
    let bilinear = |align_corners| Interpolation::Bilinear { align_corners };
    let sizes = [
        ([4, 7], [8, 14]),
        // Not a whole factor along one axis, and smaller along the other.
        ([5, 8], [7, 3]),
        ([1, 3], [4, 1]),
        // Several output pixels have a place exactly on a pixel.
        ([7, 5], [13, 9]),
    ];
    let case = |[h, w]: [usize; 2], out: [usize; 2], interpolation| {
        let x = [2, h, w, 3];
        let to = To { out, interpolation };
        let axes = to.axes(&to.sizes(&x));
        let most = |axis: usize| (0..x[1 + axis]).map(|at| axes[axis].readers(at).len()).max();
        let n_readers = most(0).zip(most(1)).map_or(0, |(rows, columns)| rows * columns);
        let record =
            move |tape: &mut Tape, x: &[ValueId]| vec![resize(tape, x[0], out, interpolation)];
        Case::new(format!("{x:?}, {}", to.text()), n_readers.max(4), record).real(
            "x",
            &x,
            Fill::Normal,
        )
    };
    let kinds = [Interpolation::Nearest, bilinear(true), bilinear(false)];
    kinds.iter().flat_map(|&kind| sizes.map(|(plane, out)| case(plane, out, kind))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    fn planes_of_the_same_size_need_no_node() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4, 5]);
        assert_eq!(resize(&mut tape, x, [3, 4], Interpolation::Nearest), x);
        let y = resize(&mut tape, x, [7, 2], Interpolation::Bilinear { align_corners: true });
        assert_eq!(tape.shape(y), [2, 7, 2, 5]);
    }
}
