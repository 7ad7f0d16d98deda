//! Reverse-mode differentiation: walks the tape backwards and appends the gradient's nodes to it.

use std::collections::HashMap;

use crate::ops::fill::Fill;
use crate::ops::{add, scale};
use crate::tape::{Group, Phase, Storage, Tape, ValueId};

/// Which value holds the gradient of which.
#[derive(Clone, Default, Debug)]
pub struct Gradients(HashMap<ValueId, ValueId>);

impl Gradients {
    /// The gradient of `value`, if the loss depends on it and a gradient was wanted.
    pub fn get(&self, value: ValueId) -> Option<ValueId> {
        self.0.get(&value).copied()
    }
}

impl Tape {
    /// Appends the nodes that compute the gradient of the scalar `loss`, of shape `[1]`.
    ///
    /// The gradients of parameters are made in the flat buffer [`Group::Gradients`].
    pub fn backward(&mut self, loss: ValueId) -> Gradients {
        assert_eq!(self.shape(loss), [1], "a loss has the shape [1]");
        let unit = self.unit().unwrap_or_else(|| {
            let fill = Fill { value: 1.0 };
            self.in_phase(Phase::Backward, |tape| tape.push_one(fill, &[]))
        });
        self.set_unit(unit);
        self.backward_from(&[(loss, unit)])
    }

    /// As [`Tape::backward`], from given gradients of any values: pairs of a value and its gradient.
    pub fn backward_from(&mut self, seeds: &[(ValueId, ValueId)]) -> Gradients {
        let n_forward = self.nodes.len();
        self.in_phase(Phase::Backward, |tape| {
            let mut gradients = Gradients::default();
            for &(value, gradient) in seeds {
                assert_eq!(
                    tape.shape(value),
                    tape.shape(gradient),
                    "a gradient has its value's shape"
                );
                accumulate(tape, &mut gradients, value, gradient);
            }
            for ix in (0..n_forward).rev() {
                let node = tape.nodes[ix].clone();
                let d_outputs: Vec<_> = node.outputs.iter().map(|&y| gradients.get(y)).collect();
                let wanted = node.inputs.iter().any(|&x| tape.value(x).requires_grad);
                if !wanted || d_outputs.iter().all(Option::is_none) {
                    continue;
                }
                tape.scoped(&node.scope, |tape| {
                    let d_inputs = node.op.backward(tape, &node, &d_outputs);
                    assert_eq!(d_inputs.len(), node.inputs.len(), "{}", node.op.name());
                    for (&input, d_input) in node.inputs.iter().zip(d_inputs) {
                        if let Some(d_input) = d_input
                            && tape.value(input).requires_grad
                        {
                            accumulate(tape, &mut gradients, input, d_input);
                        }
                    }
                });
            }
            place_parameter_gradients(tape, &mut gradients);
            gradients
        })
    }
}

/// A value that is used twice has the sum of what both uses send back.
fn accumulate(tape: &mut Tape, gradients: &mut Gradients, value: ValueId, gradient: ValueId) {
    let sum = match gradients.get(value) {
        Some(earlier) => {
            // Named after the value, not after the layer that happened to come second.
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
        // A gradient that already has a place (a seed, or one that two parameters share) is copied.
        if tape.value(gradient).storage != Storage::Transient {
            gradient = scale::scale(tape, gradient, 1.0);
            gradients.0.insert(parameter, gradient);
        }
        tape.place(gradient, Group::Gradients, &member.name);
    }
}
