//! The boxes of a drawing: their texts and colours.

use crate::base::units::thousands;
use crate::tape::{ElementType, Node, StateBuffer, Storage, Tape, Value, ValueId};

/// The kind of a node. It sets the colour of the node's box.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Weighted,
    Normalising,
    Elementwise,
    Pooling,
    Joining,
    Other,
}

impl Kind {
    /// Returns the kind of a node. The kind depends on the node's values and not on its op, so new ops have a colour,
    /// too.
    fn of(tape: &Tape, node: &Node) -> Self {
        let inputs = || node.inputs.iter().map(|&id| tape.value(id));
        let parameters = || inputs().filter(|value| is_weight(value));
        let n_activations =
            inputs().filter(|v| !matches!(v.storage, Storage::State { .. })).count();
        let x = inputs().next();
        let y = tape.value(node.outputs[0]);
        if inputs().any(|v| v.element != ElementType::F32) {
            Kind::Other
        } else if parameters().any(|v| v.shape.len() > 1) {
            Kind::Weighted
        } else if parameters().next().is_some() {
            Kind::Normalising
        } else if n_activations > 1 {
            Kind::Joining
        } else if x.is_some_and(|x| x.shape == y.shape) {
            Kind::Elementwise
        } else if x.is_some_and(|x| x.n_elements() > y.n_elements()) {
            Kind::Pooling
        } else {
            Kind::Other
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Weighted => "weighted",
            Kind::Normalising => "normalising",
            Kind::Elementwise => "elementwise",
            Kind::Pooling => "pooling",
            Kind::Joining => "joining",
            Kind::Other => "other",
        }
    }
}

/// A box: its texts and its kind.
pub(super) struct Item {
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) shape: String,
    pub(super) parameters: String,
    pub(super) kind: Kind,
    /// Name of the block of layers; empty outside layers.
    pub(super) block: String,
    /// Inputs of the step that the node reads, and that have no box.
    pub(super) side_inputs: Vec<String>,
}

impl Item {
    /// Returns the box of an input of the step.
    pub(super) fn input(tape: &Tape, id: ValueId) -> Self {
        let batch = tape.shape(id).first().copied();
        Self {
            title: tape.value(id).name.clone(),
            detail: String::new(),
            shape: shape(tape, id, batch),
            parameters: String::new(),
            kind: Kind::Other,
            block: String::new(),
            side_inputs: Vec::new(),
        }
    }

    /// Returns the box of a node. `batch` is the number of images.
    pub(super) fn node(tape: &Tape, node: &Node, batch: Option<usize>) -> Self {
        let inputs = node.inputs.iter().map(|&id| tape.value(id));
        let weights = inputs.filter(|value| is_weight(value));
        let parameters = match weights.map(Value::n_elements).sum() {
            0 => String::new(),
            n => format!("{} parameters", thousands(n)),
        };
        Self {
            title: title(node),
            detail: node.op.attributes(),
            shape: shape(tape, node.outputs[0], batch),
            parameters,
            kind: Kind::of(tape, node),
            block: node.layer().to_string(),
            side_inputs: Vec::new(),
        }
    }

    /// Moves the names of the inputs that have no box into the text of the box, where another column is beside it.
    pub(super) fn name_side_inputs(&mut self) {
        let reads = self.side_inputs.drain(..).map(|name| format!("reads {name}"));
        let texts: Vec<_> =
            std::iter::once(std::mem::take(&mut self.detail)).chain(reads).collect();
        self.detail = texts.join(", ").trim_start_matches(", ").to_string();
    }
}

/// Returns true for a view into the parameters.
pub(super) fn is_weight(value: &Value) -> bool {
    matches!(value.storage, Storage::State { buffer: StateBuffer::Parameters, .. })
}

/// Returns the title of a box: `max pool2d` for `max_pool2d.forward`. All boxes are forward nodes, so the title does
/// not name the phase.
fn title(node: &Node) -> String {
    let name = node.op.name();
    name.strip_suffix(".forward").unwrap_or(name).replace('_', " ").replace('.', ", ")
}

/// Returns the shape of a value without the axis of images, as text. The drawing's header has the number of images.
fn shape(tape: &Tape, id: ValueId, batch: Option<usize>) -> String {
    let value = tape.value(id);
    let axes = match value.shape.as_slice() {
        [first, rest @ ..] if Some(*first) == batch && !rest.is_empty() => rest,
        [first] if Some(*first) == batch => &[1],
        axes => axes,
    };
    let axes: Vec<_> = axes.iter().map(usize::to_string).collect();
    let element = match value.element {
        ElementType::F32 => String::new(),
        other => format!(" {other}"),
    };
    axes.join(" × ") + &element
}
