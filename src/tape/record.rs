//! Recording: adds values and nodes to a tape.

use std::collections::HashMap;
use std::sync::Arc;

use super::state::StateLayout;
use super::{ElementType, Node, NodeIo, Phase, Prefixes, Storage, Value, ValueId};
use crate::tape::{Op, OutputSpec};

/// The purpose of a tape: training or evaluation. Layers read the purpose, because batch norm and dropout differ
/// between training and evaluation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Training: batch norm normalises by the batch's statistics, and the tape has gradients and updates.
    Train,
    /// Evaluation: batch norm normalises by the running statistics, and the tape has only a forward pass.
    Eval,
}

/// A list of nodes over a list of values; see the [module page](super).
#[derive(Clone, Debug)]
pub struct Tape {
    name: String,
    pub(super) mode: Mode,
    pub(super) values: Vec<Value>,
    pub(super) nodes: Vec<Node>,
    pub(super) state: StateLayout,
    pub(super) members: HashMap<String, ValueId>,
    scope: String,
    phase: Phase,
    unit: Option<ValueId>,
    image_numbers: Option<ValueId>,
    n_random_layers: usize,
    frozen: Prefixes,
}

impl Tape {
    /// Returns an empty tape. `name` is the network's name, the beginning of every label.
    pub fn new(name: &str, mode: Mode) -> Self {
        Self {
            name: name.to_string(),
            mode,
            values: Vec::new(),
            nodes: Vec::new(),
            state: StateLayout::default(),
            members: HashMap::new(),
            scope: String::new(),
            phase: Phase::Forward,
            unit: None,
            image_numbers: None,
            n_random_layers: 0,
            frozen: Prefixes::default(),
        }
    }

    /// Returns the network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the purpose of the tape.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns all values, by [`ValueId::index`].
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Returns all nodes in order of execution.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the parameters and running statistics recorded so far.
    pub fn state(&self) -> &StateLayout {
        &self.state
    }

    /// Leaves out the buffers that only training needs: gradients, optimizer state, batch statistics. A session with
    /// this layout can evaluate but not train.
    pub fn inference_only(&mut self) {
        self.state.inference_only = true;
    }

    /// Returns the value with this id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// Returns the shape of a value.
    pub fn shape(&self, id: ValueId) -> &[usize] {
        &self.value(id).shape
    }

    /// Returns the number of times that a training step runs a node: once for each shard, or once if the node updates the
    /// state.
    pub fn n_runs(&self, node: &Node) -> usize {
        if node.phase == Phase::Update { 1 } else { self.state.n_shards }
    }

    /// Returns true if a step runs the tape once for each of its shards.
    pub fn is_of_shard(&self) -> bool {
        self.nodes.iter().any(|node| node.phase == Phase::Reduce)
    }

    /// Returns the shapes, types and names of a node's inputs and outputs, for the node's op.
    pub fn io<'a>(&'a self, node: &'a Node) -> NodeIo<'a> {
        NodeIo::new(self, node)
    }

    /// Adds an input without a gradient; the host writes it before each step.
    pub fn input(&mut self, name: &str, element: ElementType, shape: &[usize]) -> ValueId {
        self.new_value(name, shape, element, Storage::Input, false)
    }

    /// Adds an input with a gradient; the host writes it before each step.
    pub fn input_with_grad(&mut self, name: &str, shape: &[usize]) -> ValueId {
        self.new_value(name, shape, ElementType::F32, Storage::Input, true)
    }

    /// Stores the input that has the numbers of the batch's images, `[N]`. Layers with random draws read it.
    ///
    /// # Panics
    /// If the value is not a list of u32.
    pub fn set_image_numbers(&mut self, id: ValueId) {
        let Value { element, shape, .. } = self.value(id);
        let fits = *element == ElementType::U32 && shape.len() == 1;
        assert!(fits, "image numbers are [N] of u32, not {shape:?} of {element}");
        self.image_numbers = Some(id);
    }

    /// Returns the input that has the numbers of the batch's images; None without
    /// [`Tape::set_image_numbers`].
    pub fn image_numbers(&self) -> Option<ValueId> {
        self.image_numbers
    }

    /// Returns the number of a new layer with random draws: 0 for the first call, 1 for the second. Layers with
    /// different numbers draw different random words.
    pub fn number_random_layer(&mut self) -> usize {
        self.n_random_layers += 1;
        self.n_random_layers - 1
    }

    /// Freezes the parameters that `frozen` selects: training changes neither them nor the running statistics with a
    /// selected name. They require no gradient, so the backward pass has no nodes for them. A batch norm layer with a
    /// selected name normalises by its running statistics, as in evaluation. Call this function before the network is
    /// recorded.
    ///
    /// # Panics
    /// If the tape has a parameter already.
    pub fn freeze(&mut self, frozen: &Prefixes) {
        assert!(self.members.is_empty(), "freeze: the tape has parameters already");
        self.frozen = frozen.clone();
    }

    /// Returns true if a layer, parameter or running statistic with this name is frozen; see [`Tape::freeze`].
    pub fn is_frozen(&self, name: &str) -> bool {
        self.frozen.select(name)
    }

    /// Appends a node and returns its outputs.
    ///
    /// # Panics
    /// If the op's shape rule rejects the inputs; the message has the shapes.
    pub fn push(&mut self, op: impl Op, inputs: &[ValueId]) -> Vec<ValueId> {
        self.push_shared(Arc::new(op), inputs)
    }

    /// Appends a node whose op a node of another tape may share, and returns its outputs.
    ///
    /// # Panics
    /// As for [`Tape::push`].
    pub fn push_shared(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> Vec<ValueId> {
        let node = self.new_node(op, inputs, &[]);
        let outputs = node.outputs.clone();
        self.nodes.push(node);
        outputs
    }

    /// Returns a new node with the tape's current scope and phase. Its `i`-th output is `outputs[i]`; if `outputs[i]`
    /// is None or missing, the output is a new value.
    pub(super) fn new_node(
        &mut self,
        op: Arc<dyn Op>,
        inputs: &[ValueId],
        outputs: &[Option<ValueId>],
    ) -> Node {
        let specs = {
            let inputs: Vec<&Value> = inputs.iter().map(|&id| self.value(id)).collect();
            op.outputs(&inputs)
        };
        let make = |(ix, spec)| match outputs.get(ix).copied().flatten() {
            Some(output) => {
                self.assert_fits(output, &*op, &spec);
                output
            }
            None => self.new_output(&*op, inputs, ix, &spec),
        };
        let outputs = specs.into_iter().enumerate().map(make).collect();
        let (inputs, scope) = (inputs.to_vec(), self.scope.clone());
        Node { op, inputs, outputs, scope, phase: self.phase }
    }

    /// Adds the value that an op computes as its `ix`-th output.
    fn new_output(
        &mut self,
        op: &dyn Op,
        inputs: &[ValueId],
        ix: usize,
        spec: &OutputSpec,
    ) -> ValueId {
        let aliased = op.aliases().iter().find(|(output, _)| *output == ix);
        let storage = match aliased {
            Some(&(_, input)) => self.value(inputs[input]).storage,
            None => Storage::Transient,
        };
        let depends = inputs.iter().any(|&id| self.value(id).requires_grad);
        let requires_grad = depends && op.has_gradient() && spec.element == ElementType::F32;
        let name = match self.scope.as_str() {
            "" => spec.name.to_string(),
            scope => format!("{scope}.{}", spec.name),
        };
        self.new_value(&name, &spec.shape, spec.element, storage, requires_grad)
    }

    fn assert_fits(&self, id: ValueId, op: &dyn Op, spec: &OutputSpec) {
        let value = self.value(id);
        let fits = value.shape == spec.shape && value.element == spec.element;
        let Value { name, element, shape, .. } = value;
        assert!(
            fits,
            "{}: {name} is {shape:?} of {element}, but the op computes {spec:?}",
            op.name()
        );
    }

    /// Returns the op's name, the op's attributes and all shapes of a node as text. Nodes with the same signature
    /// launch the same kernels.
    pub fn signature(&self, node: &Node) -> String {
        let one = |id: &ValueId| self.shape(*id).iter().map(usize::to_string).collect::<Vec<_>>();
        let list =
            |ids: &[ValueId]| ids.iter().map(|id| one(id).join("x")).collect::<Vec<_>>().join(", ");
        let attributes = match node.op.attributes() {
            attributes if attributes.is_empty() => attributes,
            attributes => format!(" ({attributes})"),
        };
        let (reads, makes) = (list(&node.inputs), list(&node.outputs));
        format!("{}{attributes}: {reads} -> {makes}", node.op.name())
    }

    /// Returns a tape with only this node, to time a kernel by itself. The values that the node reads become inputs of
    /// the returned tape. If the node updates the state, the inputs of the node that lie in the state stay in the
    /// state.
    pub fn isolate(&self, node: &Node) -> Tape {
        let mut tape = Tape::new(&self.name, self.mode);
        let updates = !node.op.aliases().is_empty();
        if updates {
            tape.state = self.state.clone();
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for &id in &node.inputs {
            let Value { name, element, shape, storage, .. } = self.value(id);
            let storage = match storage {
                Storage::State { .. } if updates => *storage,
                _ => Storage::Input,
            };
            inputs.push(tape.new_value(name, shape, *element, storage, false));
        }
        for output in tape.push_shared(Arc::clone(&node.op), &inputs) {
            tape.keep(output);
        }
        tape
    }

    /// Appends a node with one output and returns the output.
    pub fn push_one(&mut self, op: impl Op, inputs: &[ValueId]) -> ValueId {
        let outputs = self.push(op, inputs);
        assert_eq!(outputs.len(), 1, "push_one: the op must have one output");
        outputs[0]
    }

    /// Runs `record`; the nodes that it appends belong to the layer `scope`.
    pub fn scoped<R>(&mut self, scope: &str, record: impl FnOnce(&mut Self) -> R) -> R {
        let outer = std::mem::replace(&mut self.scope, scope.to_string());
        let result = record(self);
        self.scope = outer;
        result
    }

    /// Runs `record`; the nodes that it appends belong to this phase.
    pub fn in_phase<R>(&mut self, phase: Phase, record: impl FnOnce(&mut Self) -> R) -> R {
        let outer = std::mem::replace(&mut self.phase, phase);
        let result = record(self);
        self.phase = outer;
        result
    }

    /// Keeps a value after the end of the step. The host can then read it.
    pub fn keep(&mut self, id: ValueId) {
        self.values[id.index()].keep = true;
    }

    /// Makes a value require a gradient, if its elements are real numbers.
    pub(super) fn set_requires_grad(&mut self, id: ValueId) {
        let value = &mut self.values[id.index()];
        value.requires_grad = value.element == ElementType::F32;
    }

    /// Changes a transient value, whose node was removed, to an input: the host writes it before each step.
    pub(crate) fn make_input(&mut self, id: ValueId) {
        self.values[id.index()].storage = Storage::Input;
    }

    /// Returns the value that holds the scalar 1, the gradient of the loss with respect to itself. The backward pass
    /// starts from this value. Returns None before differentiation.
    pub(crate) fn unit(&self) -> Option<ValueId> {
        self.unit
    }

    /// Stores the id of the value that holds the scalar 1, the gradient of the loss with respect to itself.
    pub(crate) fn set_unit(&mut self, id: ValueId) {
        self.unit = Some(id);
    }

    /// Returns true if a value is the scalar 1 from which the backward pass starts, the gradient of the loss with
    /// respect to itself. Backward rules leave out a multiplication by this value.
    pub fn is_unit(&self, id: ValueId) -> bool {
        self.unit == Some(id)
    }

    pub(super) fn new_value(
        &mut self,
        name: &str,
        shape: &[usize],
        element: ElementType,
        storage: Storage,
        requires_grad: bool,
    ) -> ValueId {
        let id = ValueId(u32::try_from(self.values.len()).expect("fewer than 2^32 values"));
        let (name, shape) = (name.to_string(), shape.to_vec());
        self.values.push(Value { name, shape, element, storage, requires_grad, keep: false });
        id
    }
}
