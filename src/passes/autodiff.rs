//! Reverse-mode differentiation: visits the nodes of a tape from last to first, and appends the nodes that compute
//! gradients.

use std::collections::HashMap;

use crate::ops::fill::Fill;
use crate::ops::{add, scale};
use crate::tape::{Node, Phase, StateBuffer, Storage, Tape, ValueId};

/// The recorded gradients: a map from each value to its gradient.
#[derive(Clone, Default, Debug)]
pub struct Gradients(HashMap<ValueId, ValueId>);

impl Gradients {
    /// Returns the gradient of `value`; None if the loss does not depend on `value`, or if `value` does not require a
    /// gradient.
    pub fn get(&self, value: ValueId) -> Option<ValueId> {
        self.0.get(&value).copied()
    }
}

/// Appends the nodes that compute the gradient of the scalar `loss`, of shape `[1]`.
///
/// The gradients of parameters lie in the flat buffer [`StateBuffer::Gradients`].
///
/// # Panics
/// If the loss has another shape.
pub fn backward(tape: &mut Tape, loss: ValueId) -> Gradients {
    assert_loss(tape, loss);
    let unit = tape.unit().unwrap_or_else(|| {
        let fill = Fill { value: 1.0 };
        tape.in_phase(Phase::Backward, |tape| tape.push_one(fill, &[]))
    });
    tape.set_unit(unit);
    backward_from(tape, &[(loss, unit)])
}

/// Appends the nodes that compute the gradient of `factor` times the scalar `loss`, as [`backward`] does.
///
/// # Panics
/// If the loss has another shape than `[1]`.
pub fn backward_scaled(tape: &mut Tape, loss: ValueId, factor: f32) -> Gradients {
    assert_loss(tape, loss);
    let fill = Fill { value: factor };
    let seed = tape.in_phase(Phase::Backward, |tape| tape.push_one(fill, &[]));
    backward_from(tape, &[(loss, seed)])
}

fn assert_loss(tape: &Tape, loss: ValueId) {
    assert_eq!(tape.shape(loss), [1], "backward: a loss must have the shape [1]");
}

/// Appends the nodes that compute gradients, starting from `seeds`: pairs of a value and its gradient.
///
/// # Panics
/// If a value and its gradient differ in shape.
pub fn backward_from(tape: &mut Tape, seeds: &[(ValueId, ValueId)]) -> Gradients {
    let n_forward = tape.nodes().len();
    tape.in_phase(Phase::Backward, |tape| {
        let mut gradients = Gradients::default();
        for &(value, gradient) in seeds {
            let shapes = [value, gradient].map(|id| tape.shape(id));
            assert_eq!(
                shapes[0], shapes[1],
                "backward: a gradient must have the shape of its value"
            );
            accumulate(tape, &mut gradients, value, gradient);
        }
        for ix in (0..n_forward).rev() {
            let node = tape.nodes()[ix].clone();
            let d_outputs: Vec<_> = node.outputs.iter().map(|&y| gradients.get(y)).collect();
            let is_differentiated = node.inputs.iter().any(|&x| tape.value(x).requires_grad);
            if is_differentiated && d_outputs.iter().any(Option::is_some) {
                tape.scoped(&node.scope, |tape| {
                    differentiate(tape, &mut gradients, &node, &d_outputs);
                });
            }
        }
        place_parameter_gradients(tape, &mut gradients);
        gradients
    })
}

/// Records a node's backward rule, and accumulates the gradients of its inputs.
fn differentiate(
    tape: &mut Tape,
    gradients: &mut Gradients,
    node: &Node,
    d_outputs: &[Option<ValueId>],
) {
    let d_inputs = node.op.backward(tape, node, d_outputs);
    assert_eq!(
        d_inputs.len(),
        node.inputs.len(),
        "{}: the backward rule must return one gradient per input",
        node.op.name()
    );
    for (&input, d_input) in node.inputs.iter().zip(d_inputs) {
        if let Some(d_input) = d_input
            && tape.value(input).requires_grad
        {
            accumulate(tape, gradients, input, d_input);
        }
    }
}

/// Adds `gradient` to the earlier gradient of `value`, if there is one. If two nodes read a value, the value's gradient
/// is the sum of two gradients.
fn accumulate(tape: &mut Tape, gradients: &mut Gradients, value: ValueId, gradient: ValueId) {
    let sum = match gradients.get(value) {
        Some(earlier) => {
            // The scope has the name of the value, because the two gradients can come from different layers.
            let scope = format!("{}.gradient", tape.value(value).name);
            tape.scoped(&scope, |tape| add::add(tape, earlier, gradient))
        }
        None => gradient,
    };
    gradients.0.insert(value, sum);
}

fn place_parameter_gradients(tape: &mut Tape, gradients: &mut Gradients) {
    for member in tape.state().parameters.clone() {
        let parameter = tape.find_member(&member.name).expect("members are values");
        let Some(mut gradient) = gradients.get(parameter) else { continue };
        // If the gradient already has a place in memory, it is copied to the buffer of gradients. This happens for a
        // gradient from `seeds`, and for a gradient that two parameters share.
        if tape.value(gradient).storage != Storage::Transient {
            gradient = scale::scale(tape, gradient, 1.0);
            gradients.0.insert(parameter, gradient);
        }
        tape.place(gradient, StateBuffer::Gradients, &member.name);
    }
}
