//! Multiplication of two values, element by element: of the same shape, or `[N, H, W, C]` times `[N, 1, 1, C]`, where
//! all pixels of a plane are multiplied by the same number.
//!
//! Shaders: `shaders/mul/`. Derivation: `docs/ops/mul.md`.

use super::partitions::{Partitions, n_partials, sum_rows};
use super::{Case, OpTests, case::Fill, nhwc};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, Node, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId,
};

/// Records `a * b`. The shape of b is the shape of a, or `[N, 1, 1, C]` for an a of shape `[N, H, W, C]`.
///
/// # Panics
/// If b has another shape.
pub fn mul(tape: &mut Tape, a: ValueId, b: ValueId) -> ValueId {
    tape.push_one(Mul, &[a, b])
}

/// Multiplication: `a, b -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Mul;

/// Returns the number of rows (pixels of a plane) and of channels of an a for which b is broadcast. Returns None if a
/// and b have the same shape.
fn broadcast(io: &NodeIo<'_>) -> Option<[usize; 2]> {
    let (a, b) = (io.input_shape(0), io.input_shape(1));
    (a != b).then(|| {
        let [_, h, w, c] = nhwc("mul", a);
        [h * w, c]
    })
}

impl Op for Mul {
    fn name(&self) -> &'static str {
        "mul.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (a, b) = (&inputs[0].shape, &inputs[1].shape);
        let is_broadcast = || matches!(a[..], [n, _, _, c] if b[..] == [n, 1, 1, c]);
        assert!(a == b || is_broadcast(), "mul: shapes {a:?} and {b:?} do not fit");
        vec![OutputSpec::real("product", a)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("the one output has a gradient");
        let [a, b] = [0, 1].map(|i| node.inputs[i]);
        let has_same_shape = tape.shape(a) == tape.shape(b);
        let d_a = tape.value(a).requires_grad.then(|| tape.push_one(Mul, &[d_y, b]));
        let d_b = tape.value(b).requires_grad.then(|| match has_same_shape {
            true => tape.push_one(Mul, &[d_y, a]),
            false => tape.push_one(MulDB, &[d_y, a]),
        });
        vec![d_a, d_b]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [rows, channels] = broadcast(io).unwrap_or([1, 1]);
        let shader =
            Shader::new("mul/forward").constants(&[("ROWS", rows), ("CHANNELS", channels)]);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Mul {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (a, b) = (args.inputs[0].real(), args.inputs[1].real());
        let y = args.outputs[0].real();
        let multiply = |y: &mut [T], a: &[T], b: &[T]| {
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                *y = a * b;
            }
        };
        match broadcast(&args.io) {
            None => for_each_chunk(y, CHUNK, &|ix, y| {
                multiply(y, chunk(a, ix, CHUNK), chunk(b, ix, CHUNK));
            }),
            Some([rows, channels]) => for_each_chunk(y, rows * channels, &|image, y| {
                let (a, b) = (chunk(a, image, rows * channels), chunk(b, image, channels));
                let rows = y.chunks_mut(channels).zip(a.chunks(channels));
                rows.for_each(|(y, a)| multiply(y, a, b));
            }),
        }
    }
}

/// The gradient of a b that is broadcast: `d_y, a -> d_b`, the sum of `d_y * a` over the plane.
#[derive(Clone, Copy, Debug)]
pub struct MulDB;

impl Op for MulDB {
    fn name(&self) -> &'static str {
        "mul.d_b"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (d_y, a) = (&inputs[0].shape, &inputs[1].shape);
        assert_eq!(d_y, a, "mul: a has shape {a:?}, but the gradient of y {d_y:?}");
        let [n, _, _, c] = nhwc("mul", a);
        vec![OutputSpec::real("product.d_b", &[n, 1, 1, c])]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        2 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [n, h, w, c] = nhwc("mul", io.input_shape(0));
        let partitions = Partitions::of_sum(h * w);
        let n_partitions = partitions.count();
        let shader = Shader::new("mul/d_b").constants(&[
            ("N", n),
            ("ROWS", h * w),
            ("CHANNELS", c),
            ("ROWS_PER_PARTITION", partitions.rows_each),
        ]);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        let workgroups = grid(n_partitions * n * c);
        let total = Binding::Output(0);
        Launch::default().split_k(shader, &bindings, workgroups, n_partitions, total, n * c)
    }
}

impl Reference for MulDB {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let [n, h, w, c] = nhwc("mul", io.input_shape(0));
        ScratchSize::shared(n_partials(h * w, n * c))
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [_, h, w, c] = nhwc("mul", args.io.input_shape(0));
        let (d_y, a) = (args.inputs[0].real(), args.inputs[1].real());
        sum_rows(h * w, args.outputs[0].real(), args.scratch.shared, &|rows, sums| {
            for_each_chunk(sums, c, &|n, sums| {
                let first = (n * h * w + rows.start) * c;
                let range = first..first + rows.len() * c;
                for (d_y, a) in d_y[range.clone()].chunks(c).zip(a[range].chunks(c)) {
                    for ((sum, &d_y), &a) in sums.iter_mut().zip(d_y).zip(a) {
                        *sum += d_y * a;
                    }
                }
            });
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "mul", cases };

fn case(a: &[usize], b: &[usize]) -> Case {
    let n_terms = a.iter().product::<usize>() / b.iter().product::<usize>();
    Case::new(format!("{a:?} by {b:?}"), n_terms, |tape, x| vec![mul(tape, x[0], x[1])])
        .real("a", a, Fill::Normal)
        .real("b", b, Fill::Normal)
}

fn cases() -> Vec<Case> {
    let square = Case::new("x * x: one value, two uses", 2, |tape, x| vec![mul(tape, x[0], x[0])])
        .real("x", &[3, 7], Fill::Normal);
    let same = [2, 3, 5, 7];
    vec![
        case(&same, &same),
        square,
        case(&[3, 5, 4, 6], &[3, 1, 1, 6]),
        // 143 pixels are three partitions.
        case(&[2, 13, 11, 5], &[2, 1, 1, 5]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{ElementType, Mode};

    #[test]
    #[should_panic(expected = "mul: shapes [2, 3, 4, 5] and [2, 3, 1, 5] do not fit")]
    fn refuses_other_shapes() {
        let mut tape = Tape::new("test", Mode::Train);
        let a = tape.input_with_grad("a", &[2, 3, 4, 5]);
        let b = tape.input_with_grad("b", &[2, 3, 1, 5]);
        mul(&mut tape, a, b);
    }

    #[test]
    fn a_factor_without_a_gradient_has_no_node() {
        let mut tape = Tape::new("test", Mode::Train);
        let a = tape.input("a", ElementType::F32, &[2, 3, 4, 5]);
        let b = tape.input_with_grad("b", &[2, 1, 1, 5]);
        mul(&mut tape, a, b);
        let d_y = tape.input("d_y", ElementType::F32, &[2, 3, 4, 5]);
        let node = tape.nodes()[0].clone();
        let gradients = node.op.backward(&mut tape, &node, &[Some(d_y)]);
        assert_eq!(gradients, [None, Some(tape.nodes()[1].outputs[0])]);
        assert_eq!((tape.nodes().len(), tape.nodes()[1].op.name()), (2, "mul.d_b"));
    }
}
