//! Concatenation along channels: any number of values `[..., C_i]` → y `[..., ΣC_i]`.
//!
//! Shader: `shaders/concat/`. Derivation: `docs/ops/concat.md`.

use super::channel_slice::{channel_slice, zip_rows};
use super::{Case, OpTests, case::Fill, n_channels};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records the concatenation of values along channels, in their order.
///
/// # Panics
/// If there are no values, or they differ in an axis other than the channels.
pub fn concat(tape: &mut Tape, inputs: &[ValueId]) -> ValueId {
    tape.push_one(Concat, inputs)
}

/// Concatenation: `a, b, ... -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Concat;

/// Returns, for each shape, the number of channels of y before those of the shape, and the shape's own number of
/// channels.
fn places<'a>(shapes: impl Iterator<Item = &'a [usize]>) -> impl Iterator<Item = (usize, usize)> {
    shapes.map(n_channels).scan(0, |end, channels| {
        *end += channels;
        Some((*end - channels, channels))
    })
}

fn input_shapes<'a>(io: &NodeIo<'a>) -> impl Iterator<Item = &'a [usize]> {
    (0..io.n_inputs()).map(|ix| io.input_shape(ix))
}

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let [first, rest @ ..] = inputs else { panic!("concat: there are no inputs") };
        let mut shape = first.shape.clone();
        let (channels, rows) = shape.split_last_mut().expect("an axis");
        for Value { shape: other, .. } in rest {
            let fits = other.split_last().is_some_and(|(_, other_rows)| other_rows == rows);
            assert!(
                fits,
                "concat: shapes {:?} and {other:?} differ before the channels",
                first.shape
            );
            *channels += n_channels(other);
        }
        vec![OutputSpec::real("concat", &shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let places: Vec<_> = places(input_shapes(&tape.io(node))).collect();
        let inputs = node.inputs.iter().zip(places);
        inputs
            .map(|(&x, (first, channels))| {
                let is_needed = tape.value(x).requires_grad;
                is_needed.then(|| channel_slice(tape, d_y, first, channels))
            })
            .collect()
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let y_channels = n_channels(io.output_shape(0));
        let places = places(input_shapes(io)).enumerate();
        places.fold(Launch::default(), |launch, (ix, (first, channels))| {
            let shader = Shader::new("concat/forward")
                .constants(&[("X_CHANNELS", channels), ("Y_CHANNELS", y_channels)]);
            let bindings = [Binding::Input(ix), Binding::Output(0), Binding::size(first)];
            launch.then(shader, &bindings, grid(io.input(ix).n_elements()))
        })
    }
}

impl Reference for Concat {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let y_channels = n_channels(args.io.output_shape(0));
        let y = args.outputs[0].real();
        for (x, (first, channels)) in args.inputs.iter().zip(places(input_shapes(&args.io))) {
            zip_rows(x.real(), y, [channels, y_channels], |x, y| {
                y[first..][..channels].copy_from_slice(x);
            });
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "concat", cases };

fn case(rows: &[usize], channels: &[usize]) -> Case {
    let name = format!("{rows:?} with {channels:?} channels");
    let case = Case::new(name, 1, |tape, inputs| vec![concat(tape, inputs)]);
    channels
        .iter()
        .fold(case, |case, &channels| case.real("x", &[rows, &[channels]].concat(), Fill::Normal))
}

fn cases() -> Vec<Case> {
    let twice =
        Case::new("x and x: one value, two uses", 2, |tape, x| vec![concat(tape, &[x[0], x[0]])]);
    vec![
        case(&[2, 4, 5], &[3, 6]),
        case(&[7], &[1, 1]),
        case(&[2, 3, 5], &[4, 1, 7, 2]),
        case(&[5], &[1; 20]),
        case(&[3, 2], &[5]),
        twice.real("x", &[7, 3], Fill::Normal),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{ElementType, Mode};

    #[test]
    #[should_panic(expected = "concat: shapes [2, 3, 4] and [2, 4, 4] differ")]
    fn refuses_other_rows() {
        let mut tape = Tape::new("test", Mode::Train);
        let a = tape.input_with_grad("a", &[2, 3, 4]);
        let b = tape.input_with_grad("b", &[2, 4, 4]);
        concat(&mut tape, &[a, b]);
    }

    #[test]
    #[should_panic(expected = "concat: there are no inputs")]
    fn refuses_an_empty_list() {
        concat(&mut Tape::new("test", Mode::Train), &[]);
    }

    #[test]
    fn an_input_without_a_gradient_has_no_node() {
        let mut tape = Tape::new("test", Mode::Train);
        let a = tape.input("a", ElementType::F32, &[2, 3]);
        let b = tape.input_with_grad("b", &[2, 4]);
        concat(&mut tape, &[a, b]);
        let d_y = tape.input("d_y", ElementType::F32, &[2, 7]);
        let node = tape.nodes()[0].clone();
        let gradients = node.op.backward(&mut tape, &node, &[Some(d_y)]);
        assert_eq!(gradients, [None, Some(tape.nodes()[1].outputs[0])]);
        assert_eq!(tape.nodes()[1].op.attributes(), "channels 3..7");
    }
}
