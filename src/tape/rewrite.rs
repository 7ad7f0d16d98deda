//! Rewriting: replaces and removes nodes of a tape. Every rewrite leaves a tape that can run.

use std::sync::Arc;

use super::{Node, Op, Tape, ValueId};

impl Tape {
    /// Replaces `nodes` by one node, and returns the new node's outputs. `nodes` are indices in ascending order.
    ///
    /// The new node takes the scope and phase of the first replaced node, and the position of the first replaced node
    /// before which all inputs are computed. Its `i`-th output is `outputs[i]`,
    /// which one of the replaced nodes computed before; if `outputs[i]` is None, the output is a new value. So readers
    /// of the old values, including the host, need no change.
    ///
    /// # Panics
    /// If the op rejects the inputs; if one of `outputs` has another shape or element type than the op's output; if an
    /// input is computed after all of `nodes`, or an output is read before the new node; if a value that is read or
    /// kept loses the node that computes it.
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
            let is_made = |node: &Node| node.outputs.contains(&id);
            let Some(made_at) = self.nodes[at..].iter().position(is_made).map(|ix| at + ix) else {
                continue;
            };
            at = nodes.iter().copied().find(|&ix| ix > made_at).unwrap_or_else(|| {
                panic!("replace: {} is computed after {}", self.value(id).name, op.name())
            });
        }
        for ix in (first..at).filter(|ix| !nodes.contains(ix)) {
            let early = self.nodes[ix].inputs.iter().find(|&&id| outputs.contains(&Some(id)));
            if let Some(&id) = early {
                panic!("replace: {} is read before {}", self.value(id).name, op.name());
            }
        }
        let Node { scope, phase, .. } = self.nodes[first].clone();
        let node = self
            .scoped(&scope, |tape| tape.in_phase(phase, |tape| tape.new_node(op, inputs, outputs)));
        let old: Vec<_> = nodes.iter().flat_map(|&ix| self.nodes[ix].outputs.clone()).collect();
        for id in outputs.iter().flatten() {
            assert!(
                old.contains(id),
                "replace: no replaced node computes {}",
                self.value(*id).name
            );
        }
        let made = node.outputs.clone();
        self.nodes[at] = node;
        self.retain(|ix| ix == at || !nodes.contains(&ix));
        for id in old.into_iter().filter(|id| !made.contains(id)) {
            let is_read = self.nodes.iter().any(|node| node.inputs.contains(&id));
            let value = self.value(id);
            assert!(!is_read && !value.keep, "replace: no node computes {} any more", value.name);
        }
        made
    }

    /// Returns the number of times that nodes read this value. A node that has the value as two inputs counts twice.
    pub fn n_readers(&self, id: ValueId) -> usize {
        self.nodes.iter().flat_map(|node| &node.inputs).filter(|&&input| input == id).count()
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
        let op = Arc::new(Makes(&["y", "more"]));
        let made =
            tape.in_phase(Phase::Update, |tape| tape.replace(&[0, 1], op, &[x], &[Some(b), None]));
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
        let made = tape.replace(&[0], Arc::new(Makes(&["y", "more"])), &[x], &[Some(a)]);
        tape.replace(&[1], Arc::new(ONE), &[a, made[1]], &[Some(b)]);
        assert_eq!(
            tape.nodes().iter().map(|node| node.inputs.len()).collect::<Vec<_>>(),
            [1, 2, 1]
        );
    }

    #[test]
    fn the_new_node_comes_after_the_nodes_that_compute_its_inputs() {
        let (mut tape, [x, a, b, c]) = row();
        let op = Arc::new(Makes(&["y", "more"]));
        let d = tape.push_one(ONE, &[x]);
        let e = tape.push_one(ONE, &[c, d]);
        // One node replaces those of c and e. It reads d, so it takes the position of the node of e.
        tape.replace(&[2, 4], op, &[b, d], &[Some(e), Some(c)]);
        let outputs: Vec<_> = tape.nodes().iter().map(|node| node.outputs.clone()).collect();
        assert_eq!(outputs, [vec![a], vec![b], vec![d], vec![e, c]]);
        assert_eq!(&*tape.nodes()[3].scope, "c", "the first node's scope");
    }

    #[test]
    #[should_panic(expected = "replace: a.y is read before makes")]
    fn outputs_are_read_after_the_new_node() {
        let (mut tape, [_, a, b, c]) = row();
        let d = tape.push_one(ONE, &[b, c]);
        tape.replace(&[0, 3], Arc::new(Makes(&["y", "more"])), &[b], &[Some(d), Some(a)]);
    }

    #[test]
    #[should_panic(expected = "replace: no node computes b.y any more")]
    fn a_value_that_is_read_needs_its_node() {
        let (mut tape, [x, a, ..]) = row();
        tape.replace(&[0, 1], Arc::new(ONE), &[x], &[Some(a)]);
    }

    #[test]
    #[should_panic(expected = "replace: no node computes c.y any more")]
    fn a_value_that_is_kept_needs_its_node() {
        let (mut tape, [_, _, b, _]) = row();
        tape.replace(&[2], Arc::new(ONE), &[b], &[None]);
    }

    #[test]
    #[should_panic(expected = "replace: b.y is computed after makes")]
    fn inputs_are_computed_before_the_new_node() {
        let (mut tape, [_, a, b, _]) = row();
        tape.replace(&[0], Arc::new(ONE), &[b], &[Some(a)]);
    }

    #[test]
    #[should_panic(expected = "replace: no replaced node computes c.y")]
    fn outputs_come_from_the_replaced_nodes() {
        let (mut tape, [x, _, _, c]) = row();
        tape.replace(&[0, 1], Arc::new(ONE), &[x], &[Some(c)]);
    }

    #[test]
    #[should_panic(expected = "makes: x is [4] of u32")]
    fn outputs_have_the_shape_and_type_of_the_op() {
        let mut tape = Tape::new("test", Mode::Train);
        let words = tape.input("x", ElementType::U32, &[4]);
        tape.push_one(ONE, &[]);
        tape.replace(&[0], Arc::new(ONE), &[], &[Some(words)]);
    }
}
