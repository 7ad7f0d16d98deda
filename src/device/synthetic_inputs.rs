//! Inputs for programs that run only to be timed.

use super::{ProgramId, Session};
use crate::device::DeviceError;
use crate::tape::{ElementType, StateBuffer, Storage, Tape};

/// Fills all f32 inputs and all parameters of a program with numbers between 0 and 1. With zeros, the device would use
/// less power and run faster than in training. Inputs of integers stay 0, which is a valid class and a valid index.
///
/// # Errors
/// If the device fails.
pub fn fill(session: &mut dyn Session, program: ProgramId, tape: &Tape) -> Result<(), DeviceError> {
    let numbers = |n: usize| (0..n).map(|ix| 0.5 + 0.4 * (ix as f32).sin()).collect::<Vec<f32>>();
    for node in tape.nodes() {
        for &id in &node.inputs {
            let value = tape.value(id);
            if value.storage == Storage::Input && value.element == ElementType::F32 {
                session.write(program, id, &numbers(value.shape.iter().product()))?;
            }
        }
    }
    session.write_state(
        StateBuffer::Parameters,
        &numbers(tape.state().n_elements(StateBuffer::Parameters)),
    )
}
