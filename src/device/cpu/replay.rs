//! Runs one node: calls the reference of the node's op (plain Rust) with the node's values, which are slices of the
//! plan's buffers.

use std::ops::Range;

use super::scratch::state_buffer;
use crate::base::sorting::sort_by_key;
use crate::kernel::StepScalars;
use crate::kernel::cpu::aligned::AlignedVec;
use crate::passes::Plan;
use crate::passes::plan::Placement;
use crate::tape::{
    Args, Node, NodeIo, Precision, Scratch, ScratchSize, Slice, SliceMut, StateBuffer, Tape,
    ValueId,
};

/// The largest number of outputs of a node. The slices of inputs and outputs are in arrays of this length, so a step
/// allocates no memory. Only a node with more inputs allocates a vector for the slices of its inputs.
const MAX_VALUES: usize = 16;

/// A buffer of the plan.
pub(super) enum Buffer<T> {
    Real(AlignedVec<T>),
    Words(Vec<u32>),
}

impl<T> Buffer<T> {
    /// The placeholder in a list of buffers for a buffer that is moved out of the list, during a run for example.
    pub(super) const TAKEN: Self = Buffer::Words(Vec::new());
}

/// Returns the range of a placement, in elements of four bytes.
pub(super) fn elements(placement: Placement) -> Range<usize> {
    let start = (placement.offset / 4) as usize;
    start..start + (placement.bytes / 4) as usize
}

/// A range of elements in a buffer.
struct Place {
    buffer: usize,
    elements: Range<usize>,
}

impl Place {
    fn new(plan: &Plan, value: ValueId) -> Self {
        let placement = plan.placements[value.index()].expect("every value of a node is placed");
        Self { buffer: placement.buffer, elements: elements(placement) }
    }
}

/// A buffer that a node writes. For each of the node's outputs in the buffer, `outputs` has the output's index on the
/// node and its range in the buffer, in ascending order of the ranges.
struct Written {
    buffer: usize,
    outputs: Vec<(usize, Range<usize>)>,
}

/// The data that is computed for a node once, when the program is loaded.
pub(super) struct Prepared {
    /// The places of the inputs; None for an input that an output updates in place.
    inputs: Vec<Option<Place>>,
    /// The places of the outputs.
    written: Vec<Written>,
    /// The size of the scratch memory that the node needs.
    pub scratch: ScratchSize,
    /// The flat buffers of the state that the node writes.
    pub written_state: Vec<StateBuffer>,
}

impl Prepared {
    /// Looks up the places of a node's values.
    ///
    /// # Panics
    /// If the node has more than [`MAX_VALUES`] outputs.
    pub fn new(tape: &Tape, plan: &Plan, node: &Node) -> Self {
        let n_outputs = node.outputs.len();
        assert!(n_outputs <= MAX_VALUES, "{} has {n_outputs} outputs", node.label());
        let aliased = |ix| node.op.aliases().iter().any(|&(_, input)| input == ix);
        let inputs = node.inputs.iter().enumerate();
        let inputs = inputs.map(|(ix, &id)| (!aliased(ix)).then(|| Place::new(plan, id))).collect();
        let mut written: Vec<Written> = Vec::new();
        for (ix, &id) in node.outputs.iter().enumerate() {
            let Place { buffer, elements } = Place::new(plan, id);
            match written.iter_mut().find(|written| written.buffer == buffer) {
                Some(written) => written.outputs.push((ix, elements)),
                None => written.push(Written { buffer, outputs: vec![(ix, elements)] }),
            }
        }
        written
            .iter_mut()
            .for_each(|w| sort_by_key(&mut w.outputs, |(_, elements)| elements.start));
        let written_state = node.outputs.iter().filter_map(|&output| state_buffer(plan, output));
        let (written_state, scratch) =
            (written_state.collect(), node.op.scratch_size(&tape.io(node)));
        Self { inputs, written, scratch, written_state }
    }

    /// Runs the node. The buffers that the node writes are first moved out of `buffers`. The other buffers can then be
    /// borrowed for reading.
    pub fn run<T: Precision>(
        &self,
        node: &Node,
        io: NodeIo<'_>,
        buffers: &mut [Buffer<T>],
        step: &StepScalars,
        scratch: Scratch<'_, T>,
    ) {
        let mut taken: [Buffer<T>; MAX_VALUES] = [const { Buffer::TAKEN }; MAX_VALUES];
        for (written, taken) in self.written.iter().zip(&mut taken) {
            std::mem::swap(&mut buffers[written.buffer], taken);
        }
        self.run_with(node, io, buffers, &mut taken, step, scratch);
        for (written, taken) in self.written.iter().zip(&mut taken) {
            std::mem::swap(&mut buffers[written.buffer], taken);
        }
    }

    /// Runs the node; `taken` has the buffers of the node's outputs, and `buffers` has all other buffers.
    fn run_with<T: Precision>(
        &self,
        node: &Node,
        io: NodeIo<'_>,
        buffers: &[Buffer<T>],
        taken: &mut [Buffer<T>],
        step: &StepScalars,
        scratch: Scratch<'_, T>,
    ) {
        let (mut few, mut many) = ([Slice::Aliased; MAX_VALUES], Vec::new());
        let inputs = match node.inputs.len() {
            n if n <= MAX_VALUES => &mut few[..n],
            n => {
                many.resize(n, Slice::Aliased);
                &mut many[..]
            }
        };
        for (input, place) in inputs.iter_mut().zip(&self.inputs) {
            let Some(Place { buffer, elements }) = place else { continue };
            *input = match &buffers[*buffer] {
                Buffer::Real(values) => Slice::Real(&values[elements.clone()]),
                Buffer::Words(words) => Slice::Words(&words[elements.clone()]),
            };
        }
        let mut outputs: [_; MAX_VALUES] = std::array::from_fn(|_| SliceMut::Real(&mut []));
        for (written, buffer) in self.written.iter().zip(taken) {
            let here = written.outputs.iter().cloned();
            match buffer {
                Buffer::Real(values) => {
                    split(values, here, |ix, slice| outputs[ix] = SliceMut::Real(slice));
                }
                Buffer::Words(words) => {
                    split(words, here, |ix, slice| outputs[ix] = SliceMut::Words(slice));
                }
            }
        }
        let outputs = &mut outputs[..node.outputs.len()];
        T::run_op(&*node.op, Args { io, inputs, outputs, step, scratch });
    }
}

/// Calls `give` for each of `ranges`, with the range's number and with the elements of `values` in the range. The
/// ranges must be disjoint and in ascending order.
fn split<'a, E>(
    mut values: &'a mut [E],
    ranges: impl Iterator<Item = (usize, Range<usize>)>,
    mut give: impl FnMut(usize, &'a mut [E]),
) {
    let mut start = 0;
    for (ix, range) in ranges {
        let (head, tail) = values.split_at_mut(range.end - start);
        give(ix, &mut head[range.start - start..]);
        (values, start) = (tail, range.end);
    }
}
