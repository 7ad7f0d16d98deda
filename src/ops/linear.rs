//! A linear layer: `y = x · weight + bias`.
//!
//! Layouts: x `[N, in]`, weight `[in, out]`, bias `[out]`, y `[N, out]`. The gradient of the bias is a
//! [`channel_sum`].
//!
//! Shaders: `shaders/linear/`. Derivation: `docs/ops/linear.md`.

use super::{Case, OpTests, case::Fill, channel_sum};
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Kernels, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records a linear layer: x `[N, in]`, weight `[in, out]`, bias `[out]` → y `[N, out]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn linear(tape: &mut Tape, x: ValueId, weight: ValueId, bias: Option<ValueId>) -> ValueId {
    let inputs: Vec<_> = [x, weight].into_iter().chain(bias).collect();
    tape.push_one(Linear { has_bias: bias.is_some() }, &inputs)
}

/// The sizes of a linear layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shapes {
    rows: usize,
    n_in: usize,
    n_out: usize,
}

impl Shapes {
    fn new(x_or_d_x: &[usize], weight: &[usize], y: Option<&[usize]>) -> Self {
        let fits = matches!((x_or_d_x, weight), (&[_, n_in], &[weight_in, _]) if n_in == weight_in);
        assert!(fits, "linear: x {x_or_d_x:?} does not fit weight {weight:?}");
        let shapes = Self { rows: x_or_d_x[0], n_in: weight[0], n_out: weight[1] };
        let expected = [shapes.rows, shapes.n_out];
        let y = y.unwrap_or(&expected);
        assert_eq!(y, expected, "linear: y has shape {expected:?}, but its gradient {y:?}");
        shapes
    }

    fn flops(&self) -> u64 {
        2 * (self.rows * self.n_in * self.n_out) as u64
    }

    fn naive(&self, path: &'static str) -> Shader {
        Shader::new(path).constants(&[
            ("ROWS", self.rows),
            ("FEATURES_IN", self.n_in),
            ("FEATURES_OUT", self.n_out),
        ])
    }
}

/// Returns the shader and the workgroups of the tiled product `[rows, depth] · [depth, columns]`. `left` has the
/// strides of a row and of k in the left operand, and `right` has the strides of k and of a column in the right
/// operand, in elements.
fn tiled(
    [rows, columns, depth]: [usize; 3],
    left: [usize; 2],
    right: [usize; 2],
    bias: &'static str,
    target: &Target,
) -> (Shader, [u32; 3]) {
    let shader =
        Shader::new("linear/matmul").import("bias", bias).import("trip_count", target.trip_count());
    let shader = shader.constants(&[
        ("OUT_ROWS", rows),
        ("OUT_COLUMNS", columns),
        ("DEPTH", depth),
        ("LEFT_ROW", left[0]),
        ("LEFT_K", left[1]),
        ("RIGHT_K", right[0]),
        ("RIGHT_COLUMN", right[1]),
    ]);
    let [x, y, _] = grid(rows.div_ceil(4));
    (shader, [x, y, columns.div_ceil(4) as u32])
}

const BINDINGS: [Binding; 3] = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];

/// The linear layer: `x, weight[, bias] -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// True if the layer has a bias.
    pub has_bias: bool,
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let s = Shapes::new(&inputs[0].shape, &inputs[1].shape, None);
        if self.has_bias {
            let bias = &inputs[2].shape;
            assert_eq!(
                bias,
                &[s.n_out],
                "linear: {} output features, but the bias has shape {bias:?}",
                s.n_out
            );
        }
        vec![OutputSpec::real("linear", &[s.rows, s.n_out])]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let (x, weight) = (node.inputs[0], node.inputs[1]);
        let wanted = |tape: &Tape, id| tape.value(id).requires_grad;
        let d_x = wanted(tape, x).then(|| tape.push_one(LinearDInput, &[d_y, weight]));
        let d_weight = wanted(tape, weight).then(|| tape.push_one(LinearDWeight, &[x, d_y]));
        let mut d_inputs = vec![d_x, d_weight];
        if self.has_bias {
            let is_wanted = wanted(tape, node.inputs[2]);
            d_inputs.push(is_wanted.then(|| channel_sum::channel_sum(tape, d_y)));
        }
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        Shapes::new(io.input_shape(0), io.input_shape(1), None).flops()
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let s = Shapes::new(io.input_shape(0), io.input_shape(1), None);
        let bias = if self.has_bias { "linear/bias_some" } else { "linear/bias_none" };
        let (shader, workgroups) = match target.kernels {
            Kernels::Naive => {
                (s.naive("linear/forward_naive").import("bias", bias), grid(s.rows * s.n_out))
            }
            Kernels::Default | Kernels::Tuned => {
                tiled([s.rows, s.n_out, s.n_in], [s.n_in, 1], [s.n_out, 1], bias, target)
            }
        };
        let mut bindings = BINDINGS.to_vec();
        if self.has_bias {
            bindings.push(Binding::Input(2));
        }
        Launch::one(shader, &bindings, workgroups)
    }
}

impl Reference for Linear {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let s = Shapes::new(args.io.input_shape(0), args.io.input_shape(1), None);
        let (x, weight) = (args.inputs[0].real(), args.inputs[1].real());
        let y = args.outputs[0].real();
        by_rows(y, s.n_out, x, s.n_in, Matrix::rows(weight, s.n_out));
        if self.has_bias {
            let bias = args.inputs[2].real();
            for y in y.chunks_mut(s.n_out) {
                y.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
            }
        }
    }
}

/// Computes out `[rows, columns]` = left `[rows, depth]` · right on the thread pool, one block of rows per
/// task.
fn by_rows<T: Real>(out: &mut [T], columns: usize, left: &[T], depth: usize, right: Matrix<'_, T>) {
    const BLOCK: usize = 128;
    for_each_chunk(out, BLOCK * columns, &|block, out| {
        let left = chunk(left, block, BLOCK * depth);
        let shape = [out.len() / columns, columns, depth];
        product(shape, out, columns, Matrix::rows(left, depth), right, false);
    });
}

/// The gradient of the input: `d_y, weight -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct LinearDInput;

impl LinearDInput {
    fn shapes(d_y: &[usize], weight: &[usize]) -> Shapes {
        Shapes::new(&[d_y[0], weight[0]], weight, Some(d_y))
    }
}

impl Op for LinearDInput {
    fn name(&self) -> &'static str {
        "linear.d_input"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let s = Self::shapes(&inputs[0].shape, &inputs[1].shape);
        vec![OutputSpec::real("linear.d_input", &[s.rows, s.n_in])]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        Self::shapes(io.input_shape(0), io.input_shape(1)).flops()
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let s = Self::shapes(io.input_shape(0), io.input_shape(1));
        let (shader, workgroups) = match target.kernels {
            Kernels::Naive => (s.naive("linear/d_input_naive"), grid(s.rows * s.n_in)),
            Kernels::Default | Kernels::Tuned => tiled(
                [s.rows, s.n_in, s.n_out],
                [s.n_out, 1],
                [1, s.n_out],
                "linear/bias_none",
                target,
            ),
        };
        Launch::one(shader, &BINDINGS, workgroups)
    }
}

impl Reference for LinearDInput {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let s = Self::shapes(args.io.input_shape(0), args.io.input_shape(1));
        let (d_y, weight) = (args.inputs[0].real(), args.inputs[1].real());
        let weight = Matrix::transposed(weight, s.n_out);
        by_rows(args.outputs[0].real(), s.n_in, d_y, s.n_out, weight);
    }
}

/// The gradient of the weight: `x, d_y -> d_weight`.
#[derive(Clone, Copy, Debug)]
pub struct LinearDWeight;

impl LinearDWeight {
    fn shapes(x: &[usize], d_y: &[usize]) -> Shapes {
        Shapes::new(x, &[x[1], d_y[1]], Some(d_y))
    }
}

impl Op for LinearDWeight {
    fn name(&self) -> &'static str {
        "linear.d_weight"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let s = Self::shapes(&inputs[0].shape, &inputs[1].shape);
        vec![OutputSpec::real("linear.d_weight", &[s.n_in, s.n_out])]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        Self::shapes(io.input_shape(0), io.input_shape(1)).flops()
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let s = Self::shapes(io.input_shape(0), io.input_shape(1));
        let (shader, workgroups) = match target.kernels {
            Kernels::Naive => (s.naive("linear/d_weight_naive"), grid(s.n_in * s.n_out)),
            Kernels::Default | Kernels::Tuned => tiled(
                [s.n_in, s.n_out, s.rows],
                [1, s.n_in],
                [s.n_out, 1],
                "linear/bias_none",
                target,
            ),
        };
        Launch::one(shader, &BINDINGS, workgroups)
    }
}

impl Reference for LinearDWeight {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let s = Self::shapes(args.io.input_shape(0), args.io.input_shape(1));
        let (x, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let d_weight = args.outputs[0].real();
        let (x, d_y) = (Matrix::transposed(x, s.n_in), Matrix::rows(d_y, s.n_out));
        product([s.n_in, s.n_out, s.rows], d_weight, s.n_out, x, d_y, false);
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "linear", cases };

fn case(rows: usize, n_in: usize, n_out: usize, bias: bool) -> Case {
    let name = format!("[{rows}, {n_in}] -> {n_out}, bias {bias}");
    let case = Case::new(name, n_in.max(rows), |tape, inputs| {
        vec![linear(tape, inputs[0], inputs[1], inputs.get(2).copied())]
    });
    let case =
        case.real("x", &[rows, n_in], Fill::Normal).real("weight", &[n_in, n_out], Fill::Normal);
    if bias { case.real("bias", &[n_out], Fill::Normal) } else { case }
}

fn cases() -> Vec<Case> {
    vec![case(7, 33, 10, true), case(4, 64, 8, false), case(67, 5, 3, true), case(1, 9, 1, false)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{ElementType, Mode};

    #[test]
    fn shape_rule() {
        let s = Shapes::new(&[7, 33], &[33, 10], None);
        assert_eq!((s.rows, s.n_in, s.n_out, s.flops()), (7, 33, 10, 4620));
    }

    #[test]
    #[should_panic(expected = "x [7, 33] does not fit weight [32, 10]")]
    fn refuses_a_weight_of_other_features() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[7, 33]);
        let weight = tape.input("weight", ElementType::F32, &[32, 10]);
        linear(&mut tape, x, weight, None);
    }
}
