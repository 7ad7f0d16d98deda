//! Evaluation with averaged parameters: the same tape reads the parameters from another buffer.

use crate::tape::{Phase, StateBuffer, Tape};

/// Changes the tape: every node that reads a parameter now reads the parameter's moving average; see
/// [`ema`](crate::ops::ema).
///
/// # Panics
/// If the tape has a backward pass or updates. Training changes the parameters, so it must read the parameters and not
/// their averages.
pub fn read_averages(tape: &mut Tape) {
    let is_forward = tape.nodes().iter().all(|node| node.phase == Phase::Forward);
    assert!(
        is_forward,
        "read_averages: the tape has a training step, which must read the parameters"
    );
    tape.average_parameters();
    tape.relocate(StateBuffer::Parameters, StateBuffer::AveragedParameters);
}
