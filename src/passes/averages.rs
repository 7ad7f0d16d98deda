//! The evaluation of averaged parameters: the same tape, whose parameters are read from another buffer.

use crate::tape::{Group, Phase, Tape};

/// Makes every node that reads a parameter read its moving average instead; see [`ema`](crate::ops::ema).
///
/// # Panics
/// On a tape with a backward pass or updates: training changes the parameters themselves.
pub fn read_averages(tape: &mut Tape) {
    let is_forward = tape.nodes().iter().all(|node| node.phase == Phase::Forward);
    assert!(is_forward, "read_averages: a training step reads the parameters themselves");
    tape.average_parameters();
    tape.relocate(Group::Parameters, Group::AveragedParameters);
}
