//! The data with which the GPU tests run a case.

use wgrad::measure::check::{CaseData, CaseTape};
use wgrad::ops::finite_check::{NOT_FINITE, SKIPPED, STOPPED};
use wgrad::ops::metrics::N_SKIPPED;
use wgrad::tape::{StateBuffer, Storage};

/// Returns random data. If the case has state, also returns data with gradients or batch statistics that are not
/// finite, data of the first training step, and data with the not-finite flag set.
pub fn variations(check: &CaseTape) -> Vec<CaseData> {
    let plain = check.fill(5);
    let mut variations = vec![plain.clone()];
    let mut vary = |change: &dyn Fn(&mut CaseData)| {
        let mut data = plain.clone();
        change(&mut data);
        variations.push(data);
    };
    let state = check.tape.state();
    let poisons: [(StateBuffer, &[f32]); 2] = [
        (StateBuffer::Gradients, &[f32::NAN, f32::NEG_INFINITY]),
        (StateBuffer::BatchStatistics, &[f32::INFINITY]),
    ];
    for (buffer, poisons) in poisons {
        let Some(last) = state.members(buffer).last() else { continue };
        // The first of these values goes into the first element of the buffer, the second into its last element.
        for (&poison, at) in poisons.iter().zip([0, last.range().end - 1]) {
            vary(&|data| data.state[buffer.index()][at] = poison);
        }
    }
    if state.averaged {
        vary(&|data| data.step.step = 1);
    }
    let is_flag = |storage| matches!(storage, Storage::State { buffer: StateBuffer::Control, .. });
    if check.tape.values().iter().any(|value| is_flag(value.storage)) {
        for flag in [STOPPED, SKIPPED] {
            vary(&|data| {
                data.state[StateBuffer::Control.index()][NOT_FINITE] = flag;
                // The metrics state that three earlier steps were skipped.
                data.state[StateBuffer::Metrics.index()][N_SKIPPED] = 3.0;
            });
        }
    }
    variations
}
