//! The data that a case is run with on a GPU.

use wgrad::measure::check::{CaseData, CaseTape};
use wgrad::ops::metrics::{N_SKIPPED, NOT_FINITE, SKIPPED, STOPPED};
use wgrad::tape::{Group, Storage};

/// Random numbers, and, where it has a state, the same with gradients or statistics of the batch that
/// are not finite, in the first step of a training, and with the flag raised.
pub fn variations(check: &CaseTape) -> Vec<CaseData> {
    let plain = check.fill(5);
    let mut variations = vec![plain.clone()];
    let mut vary = |change: &dyn Fn(&mut CaseData)| {
        let mut data = plain.clone();
        change(&mut data);
        variations.push(data);
    };
    let state = check.tape.state();
    let poisons: [(Group, &[f32]); 2] = [
        (Group::Gradients, &[f32::NAN, f32::NEG_INFINITY]),
        (Group::BatchStatistics, &[f32::INFINITY]),
    ];
    for (group, poisons) in poisons {
        let Some(last) = state.members(group).last() else { continue };
        // The first element, and then the last.
        for (&poison, at) in poisons.iter().zip([0, last.range().end - 1]) {
            vary(&|data| {
                data.state[group.index()][at] = poison;
                // Not the first of its kind.
                data.state[Group::Metrics.index()][N_SKIPPED] = 3.0;
            });
        }
    }
    if state.averaged {
        vary(&|data| data.step.step = 1);
    }
    let is_flag = |storage| matches!(storage, Storage::State { group: Group::Metrics, .. });
    if check.tape.values().iter().any(|value| is_flag(value.storage)) {
        for flag in [STOPPED, SKIPPED] {
            vary(&|data| data.state[Group::Metrics.index()][NOT_FINITE] = flag);
        }
    }
    variations
}
