//! Rewriting: replaces and removes nodes of a tape. Every rewrite leaves a tape that can run.

use std::any::Any;
use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use super::{Node, NodeIo, Op, Storage, Tape, Value, ValueId};

impl Tape {
    /// Calls `rewrite` with a [`Rewriter`] of this tape, and returns the result of the call.
    pub fn rewrite<R>(&mut self, rewrite: impl FnOnce(&mut Rewriter<'_>) -> R) -> R {
        rewrite(&mut Rewriter::new(self))
    }

    /// Returns the number of times that nodes read this value. A node that has the value as two inputs counts twice.
    pub fn n_readers(&self, id: ValueId) -> usize {
        self.nodes.iter().flat_map(|node| &node.inputs).filter(|&&input| input == id).count()
    }

    /// Makes a value require a gradient, and with it all values that nodes compute from it by ops with a gradient. The
    /// backward pass then differentiates these nodes, down to the value.
    pub fn require_gradient(&mut self, id: ValueId) {
        self.set_requires_grad(id);
        for node in mem::take(&mut self.nodes) {
            let depends = node.inputs.iter().any(|&input| self.value(input).requires_grad);
            if depends && node.op.has_gradient() {
                node.outputs.iter().for_each(|&output| self.set_requires_grad(output));
            }
            self.nodes.push(node);
        }
    }

    /// Appends the nodes of a tape with the same values, which was split off from this tape.
    ///
    /// # Panics
    /// If the tapes differ in the number of their values.
    pub(crate) fn append(&mut self, part: &Tape) {
        assert_eq!(self.values.len(), part.values.len(), "append: tapes with other values");
        self.nodes.extend(part.nodes.iter().cloned());
    }

    /// Makes some nodes read other values: each input that is a key of `replacements` becomes the value of this key.
    ///
    /// # Panics
    /// If two values differ in shape or element type.
    pub(crate) fn redirect(
        &mut self,
        nodes: Range<usize>,
        replacements: &BTreeMap<ValueId, ValueId>,
    ) {
        for (&old, &new) in replacements {
            let [old, new] = [old, new].map(|id| self.value(id));
            let is_alike = old.shape == new.shape && old.element == new.element;
            assert!(is_alike, "redirect: {} and {} differ in shape or type", old.name, new.name);
        }
        for input in self.nodes[nodes].iter_mut().flat_map(|node| &mut node.inputs) {
            *input = replacements.get(input).copied().unwrap_or(*input);
        }
    }

    /// Moves the node with the index `order[i]` to position i.
    ///
    /// # Panics
    /// If `order` does not have each node once, or if a node then reads a value before it is computed.
    pub(crate) fn reorder(&mut self, order: &[usize]) {
        let mut nodes: Vec<_> = mem::take(&mut self.nodes).into_iter().map(Some).collect();
        assert_eq!(order.len(), nodes.len(), "reorder: the order does not have all nodes");
        self.nodes = order.iter().map(|&ix| nodes[ix].take().expect("each node once")).collect();
        let mut is_made = vec![true; self.values.len()];
        let outputs = |node: &Node| node.outputs.clone();
        for output in self.nodes.iter().flat_map(outputs) {
            is_made[output.index()] = self.value(output).storage != Storage::Transient;
        }
        for node in &self.nodes {
            let missing = node.inputs.iter().find(|input| !is_made[input.index()]);
            if let Some(&id) = missing {
                panic!("reorder: {} reads {} too early", node.op.name(), self.value(id).name);
            }
            node.outputs.iter().for_each(|output| is_made[output.index()] = true);
        }
    }

    /// Calls `keep` with the index of every node, and removes the nodes for which the result is false.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut ix = 0;
        self.nodes.retain(|_| {
            ix += 1;
            keep(ix - 1)
        });
    }
}

/// A tape whose nodes are being replaced; see [`Tape::rewrite`].
///
/// It has the maker and the readers of each value, so the time of a replacement does not depend on the length of the
/// tape. During the rewriting, a removed node leaves a gap, so the indices of all other nodes stay the same.
pub struct Rewriter<'a> {
    tape: &'a mut Tape,
    /// The tape's nodes, which are moved back at the end; None for a removed node.
    nodes: Vec<Option<Node>>,
    /// The index of the node that computes each value; None for inputs and views into the state.
    makers: Vec<Option<usize>>,
    /// The readers of each value.
    readers: Vec<Readers>,
}

/// The nodes that read a value. A node that has the value as two inputs counts twice.
#[derive(Clone, Copy, Default)]
struct Readers {
    n: usize,
    /// The sum of the indices of the nodes. If there is one node, the sum is its index.
    sum_of_indices: usize,
}

impl<'a> Rewriter<'a> {
    fn new(tape: &'a mut Tape) -> Self {
        let nodes = mem::take(&mut tape.nodes);
        let empty = (0..nodes.len()).map(|_| None).collect();
        let mut rewriter = Self { tape, nodes: empty, makers: Vec::new(), readers: Vec::new() };
        rewriter.add_new_values();
        for (ix, node) in nodes.into_iter().enumerate() {
            rewriter.put(ix, node);
        }
        rewriter
    }

    /// Returns the number of nodes at the start of the rewriting. All indices are below it.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Returns a node; None for a node that was removed.
    pub fn node(&self, ix: usize) -> Option<&Node> {
        self.nodes[ix].as_ref()
    }

    /// Returns the op of a node; None for a removed node and for an op of another type than `O`.
    pub fn op<O: Op>(&self, ix: usize) -> Option<&O> {
        (&*self.node(ix)?.op as &dyn Any).downcast_ref()
    }

    /// Returns the value with this id.
    pub fn value(&self, id: ValueId) -> &Value {
        self.tape.value(id)
    }

    /// Returns the shapes, types and names of a node's inputs and outputs.
    pub fn io<'n>(&'n self, node: &'n Node) -> NodeIo<'n> {
        self.tape.io(node)
    }

    /// Returns the index of the node that computes a value; None for inputs and views into the state.
    pub fn maker(&self, id: ValueId) -> Option<usize> {
        self.makers[id.index()]
    }

    /// Returns the index of the only node that reads a value. Returns None if the value is read several times, if the
    /// op of the reading node does not have the type `O`, or if the value is kept for the host.
    pub fn only_reader<O: Op>(&self, id: ValueId) -> Option<usize> {
        match self.readers[id.index()] {
            Readers { n: 1, sum_of_indices: ix } if !self.value(id).keep => {
                self.op::<O>(ix).map(|_| ix)
            }
            _ => None,
        }
    }

    /// Replaces `nodes` by one node, and returns the new node's outputs. `nodes` are indices in ascending order.
    ///
    /// The new node takes the scope and phase of the first replaced node, and the position of the first replaced node
    /// before which all inputs are computed. Its `i`-th output is `outputs[i]`, which one of the replaced nodes computed
    /// before; if `outputs[i]` is None, the output is a new value. So readers of the old values, including the host,
    /// need no change.
    ///
    /// # Panics
    /// If the op rejects the inputs; if one of `outputs` has another shape or element type than the op's output; if an
    /// input is computed after all of `nodes`, or an output is read before the new node; if a value that is read or
    /// kept loses the node that computes it; if one of `nodes` was removed.
    pub fn replace(
        &mut self,
        nodes: &[usize],
        op: Arc<dyn Op>,
        inputs: &[ValueId],
        outputs: &[Option<ValueId>],
    ) -> Vec<ValueId> {
        assert!(nodes.is_sorted_by(|a, b| a < b), "replace: the nodes {nodes:?} do not ascend");
        let first = *nodes.first().expect("replace: at least one node");
        let mut at = first;
        for &id in inputs {
            let Some(made_at) = self.maker(id).filter(|&ix| ix >= at) else { continue };
            at = nodes.iter().copied().find(|&ix| ix > made_at).unwrap_or_else(|| {
                panic!("replace: {} is computed after {}", self.value(id).name, op.name())
            });
        }
        for node in (first..at).filter(|ix| !nodes.contains(ix)).filter_map(|ix| self.node(ix)) {
            if let Some(&id) = node.inputs.iter().find(|&&id| outputs.contains(&Some(id))) {
                panic!("replace: {} is read before {}", self.value(id).name, op.name());
            }
        }
        let removed: Vec<Node> = nodes.iter().map(|&ix| self.remove(ix)).collect();
        let Node { scope, phase, .. } = &removed[0];
        let node = self
            .tape
            .scoped(scope, |tape| tape.in_phase(*phase, |tape| tape.new_node(op, inputs, outputs)));
        self.add_new_values();
        let old: Vec<_> = removed.iter().flat_map(|node| &node.outputs).copied().collect();
        for id in outputs.iter().flatten() {
            let name = &self.value(*id).name;
            assert!(old.contains(id), "replace: no replaced node computes {name}");
        }
        let made = node.outputs.clone();
        self.put(at, node);
        for id in old.into_iter().filter(|id| !made.contains(id)) {
            let (value, is_read) = (self.value(id), self.readers[id.index()].n > 0);
            assert!(!is_read && !value.keep, "replace: no node computes {} any more", value.name);
        }
        made
    }

    fn put(&mut self, ix: usize, node: Node) {
        for id in &node.inputs {
            let Readers { n, sum_of_indices } = &mut self.readers[id.index()];
            (*n, *sum_of_indices) = (*n + 1, *sum_of_indices + ix);
        }
        node.outputs.iter().for_each(|id| self.makers[id.index()] = Some(ix));
        self.nodes[ix] = Some(node);
    }

    fn remove(&mut self, ix: usize) -> Node {
        let node = self.nodes[ix].take().unwrap_or_else(|| panic!("node {ix} was removed"));
        for id in &node.inputs {
            let Readers { n, sum_of_indices } = &mut self.readers[id.index()];
            (*n, *sum_of_indices) = (*n - 1, *sum_of_indices - ix);
        }
        node.outputs.iter().for_each(|id| self.makers[id.index()] = None);
        node
    }

    fn add_new_values(&mut self) {
        let n_values = self.tape.values().len();
        self.makers.resize(n_values, None);
        self.readers.resize(n_values, Readers::default());
    }
}

impl Drop for Rewriter<'_> {
    fn drop(&mut self) {
        self.tape.nodes = self.nodes.drain(..).flatten().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Launch, Real, Target};
    use crate::tape::{Args, ElementType, Mode, NodeIo, OutputSpec, Phase, Reference, Value};

    /// An op without a computation. Its outputs have these names and the shape `[4]`.
    #[derive(Debug)]
    struct Makes(&'static [&'static str]);

    impl Op for Makes {
        fn name(&self) -> &'static str {
            "makes"
        }
        fn outputs(&self, _: &[&Value]) -> Vec<OutputSpec> {
            self.0.iter().map(|name| OutputSpec::real(name, &[4])).collect()
        }
        fn flops(&self, _: &NodeIo<'_>) -> u64 {
            0
        }
        fn launch(&self, _: &NodeIo<'_>, _: &Target) -> Launch {
            Launch::default()
        }
    }

    impl Reference for Makes {
        fn run<T: Real>(&self, _: Args<'_, T>) {}
    }

    const ONE: Makes = Makes(&["y"]);

    fn replace(
        tape: &mut Tape,
        nodes: &[usize],
        op: Makes,
        inputs: &[ValueId],
        outputs: &[Option<ValueId>],
    ) -> Vec<ValueId> {
        tape.rewrite(|tape| tape.replace(nodes, Arc::new(op), inputs, outputs))
    }

    /// Returns a tape with the nodes a, b and c in a chain, each in the scope of its name, and the values x, a, b and
    /// c.
    fn row() -> (Tape, [ValueId; 4]) {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[4]);
        let mut last = x;
        let [a, b, c] = ["a", "b", "c"].map(|scope| {
            last = tape.scoped(scope, |tape| tape.push_one(ONE, &[last]));
            last
        });
        tape.keep(c);
        (tape, [x, a, b, c])
    }

    #[test]
    fn one_node_takes_the_place_of_two() {
        let (mut tape, [x, _, b, c]) = row();
        let op = Makes(&["y", "more"]);
        let made =
            tape.in_phase(Phase::Update, |tape| replace(tape, &[0, 1], op, &[x], &[Some(b), None]));
        assert_eq!(tape.nodes().len(), 2);
        let node = &tape.nodes()[0];
        assert_eq!((&node.inputs, &node.outputs, &made), (&vec![x], &vec![b, made[1]], &made));
        assert_eq!(
            (&*node.scope, node.phase),
            ("a", Phase::Forward),
            "the first node's scope and phase"
        );
        assert_eq!(tape.value(made[1]).name, "a.more");
        assert_eq!((&tape.nodes()[1].inputs, &tape.nodes()[1].outputs), (&vec![b], &vec![c]));
    }

    #[test]
    fn a_node_can_gain_an_output_and_an_input() {
        let (mut tape, [x, a, b, _]) = row();
        let made = replace(&mut tape, &[0], Makes(&["y", "more"]), &[x], &[Some(a)]);
        replace(&mut tape, &[1], ONE, &[a, made[1]], &[Some(b)]);
        assert_eq!(
            tape.nodes().iter().map(|node| node.inputs.len()).collect::<Vec<_>>(),
            [1, 2, 1]
        );
    }

    #[test]
    fn the_new_node_comes_after_the_nodes_that_compute_its_inputs() {
        let (mut tape, [x, a, b, c]) = row();
        let op = Makes(&["y", "more"]);
        let d = tape.push_one(ONE, &[x]);
        let e = tape.push_one(ONE, &[c, d]);
        // One node replaces those of c and e. It reads d, so it takes the position of the node of e.
        replace(&mut tape, &[2, 4], op, &[b, d], &[Some(e), Some(c)]);
        let outputs: Vec<_> = tape.nodes().iter().map(|node| node.outputs.clone()).collect();
        assert_eq!(outputs, [vec![a], vec![b], vec![d], vec![e, c]]);
        assert_eq!(&*tape.nodes()[3].scope, "c", "the first node's scope");
    }

    #[test]
    #[should_panic(expected = "replace: a.y is read before makes")]
    fn outputs_are_read_after_the_new_node() {
        let (mut tape, [_, a, b, c]) = row();
        let d = tape.push_one(ONE, &[b, c]);
        replace(&mut tape, &[0, 3], Makes(&["y", "more"]), &[b], &[Some(d), Some(a)]);
    }

    #[test]
    fn makers_and_readers_follow_the_replacements() {
        let (mut tape, [x, a, b, c]) = row();
        tape.rewrite(|tape| {
            assert_eq!([x, a, b, c].map(|id| tape.maker(id)), [None, Some(0), Some(1), Some(2)]);
            assert_eq!(tape.only_reader::<Makes>(a), Some(1));
            assert_eq!(tape.only_reader::<Makes>(c), None, "no node reads c, and the host does");
            let more = tape.replace(&[0, 1], Arc::new(Makes(&["y", "more"])), &[x], &[Some(b)])[1];
            assert_eq!([a, b, c, more].map(|id| tape.maker(id)), [None, Some(0), Some(2), Some(0)]);
            assert!(tape.node(1).is_none(), "a removed node leaves a gap");
            assert_eq!(tape.only_reader::<Makes>(b), Some(2));
            tape.replace(&[2], Arc::new(ONE), &[b, b, more], &[Some(c)]);
            assert_eq!(tape.only_reader::<Makes>(b), None, "one node reads b twice");
            assert_eq!(tape.only_reader::<Makes>(more), Some(2));
        });
        assert_eq!(tape.nodes().len(), 2);
    }

    #[test]
    #[should_panic(expected = "replace: no node computes b.y any more")]
    fn a_value_that_is_read_needs_its_node() {
        let (mut tape, [x, a, ..]) = row();
        replace(&mut tape, &[0, 1], ONE, &[x], &[Some(a)]);
    }

    #[test]
    #[should_panic(expected = "replace: no node computes c.y any more")]
    fn a_value_that_is_kept_needs_its_node() {
        let (mut tape, [_, _, b, _]) = row();
        replace(&mut tape, &[2], ONE, &[b], &[None]);
    }

    #[test]
    #[should_panic(expected = "replace: b.y is computed after makes")]
    fn inputs_are_computed_before_the_new_node() {
        let (mut tape, [_, a, b, _]) = row();
        replace(&mut tape, &[0], ONE, &[b], &[Some(a)]);
    }

    #[test]
    #[should_panic(expected = "replace: no replaced node computes c.y")]
    fn outputs_come_from_the_replaced_nodes() {
        let (mut tape, [x, _, _, c]) = row();
        replace(&mut tape, &[0, 1], ONE, &[x], &[Some(c)]);
    }

    #[test]
    #[should_panic(expected = "makes: x is [4] of u32")]
    fn outputs_have_the_shape_and_type_of_the_op() {
        let mut tape = Tape::new("test", Mode::Train);
        let words = tape.input("x", ElementType::U32, &[4]);
        tape.push_one(ONE, &[]);
        replace(&mut tape, &[0], ONE, &[], &[Some(words)]);
    }
}
