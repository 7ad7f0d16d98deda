//! The data that a case is run with on a GPU.

use wgrad::check::{CaseData, CaseTape};
use wgrad::ops::metrics::NOT_FINITE;
use wgrad::tape::Group;

/// Random numbers, and, where it has a state, the same with
/// gradients that are not finite, and with the sticky flag raised.
pub fn variations(check: &CaseTape) -> Vec<CaseData> {
    let plain = check.fill(5);
    let gradients = Group::Gradients.index();
    let mut variations = vec![plain.clone()];
    if let Some(last) = check.tape.state().parameters.last() {
        let poisons = [(0, f32::NAN), (last.range().end - 1, f32::NEG_INFINITY)];
        variations.extend(poisons.map(|(at, poison)| {
            let mut data = plain.clone();
            data.state[gradients][at] = poison;
            data
        }));
    }
    let mut flagged = plain;
    flagged.state[Group::Metrics.index()][NOT_FINITE] = 1.0;
    variations.push(flagged);
    variations
}
