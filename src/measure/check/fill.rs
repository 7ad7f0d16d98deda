//! Random contents for the inputs and the state of a case, drawn from a seed.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

use super::{CaseTape, Contents};
use crate::kernel::StepScalars;
use crate::ops::case::Fill;
use crate::tape::{ElementType, StateBuffer, StateLayout, ValueId};

/// The inputs and the state of a case before a run. A test may change them, for example to insert a gradient that is
/// not finite.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseData {
    /// The contents of every input, including the upstream gradients.
    pub inputs: Vec<(ValueId, Contents)>,
    /// The state, in the order of [`StateBuffer::ALL`]; padding, metrics and control words are zero.
    pub state: Vec<Vec<f32>>,
    /// The scalars of the step.
    pub step: StepScalars,
}

impl CaseTape {
    /// Returns random contents. They are a function of the seed.
    pub fn fill(&self, seed: u64) -> CaseData {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let case_inputs = self.inputs.iter().map(|(input, id)| (*id, input.fill));
        let upstreams = self.upstreams.iter().map(|u| (u.gradient, Fill::Normal));
        let inputs = case_inputs
            .chain(upstreams)
            .map(|(id, fill)| {
                let value = self.tape.value(id);
                let n_words = (value.bytes() / 4) as usize;
                let contents = match value.element {
                    ElementType::F32 => Contents::Real(reals(&mut rng, fill, n_words)),
                    ElementType::U32 | ElementType::U8 => {
                        Contents::Words(words(&mut rng, fill, n_words))
                    }
                };
                (id, contents)
            })
            .collect();
        let state =
            StateBuffer::ALL.map(|buffer| state(&mut rng, buffer, self.tape.state())).into();
        let step = StepScalars {
            seed: [rng.random(), rng.random()],
            epoch: rng.random_range(0..100),
            optimizer: [0.01, 1.75, 0.875, 0.125],
            // Level 0 is added, and level 1 is stored. Level 2 neither.
            added_levels: 0b001,
            stored_level: 0b010,
            ..StepScalars::default()
        };
        CaseData { inputs, state, step }
    }
}

/// Returns a state buffer of random numbers in a valid range: variances are positive, and so is the optimizer's second
/// buffer, which has Adam's second moments.
fn state(rng: &mut impl Rng, buffer: StateBuffer, layout: &StateLayout) -> Vec<f32> {
    let fill = match buffer {
        StateBuffer::Parameters
        | StateBuffer::AveragedParameters
        | StateBuffer::Gradients
        | StateBuffer::Optimizer(0) => Fill::Normal,
        StateBuffer::Optimizer(_)
        | StateBuffer::RunningStatistics
        | StateBuffer::BatchStatistics => Fill::Positive,
        StateBuffer::Metrics | StateBuffer::Control => return vec![0.0; layout.n_elements(buffer)],
        // These buffers have no members.
        StateBuffer::StepMetrics | StateBuffer::Partial(_) => {
            return reals(rng, Fill::Normal, layout.n_elements(buffer));
        }
    };
    let mut flat = vec![0.0; layout.n_elements(buffer)];
    for member in layout.members(buffer) {
        flat[member.range()].copy_from_slice(&reals(rng, fill, member.n_elements()));
    }
    flat
}

fn reals(rng: &mut impl Rng, fill: Fill, n: usize) -> Vec<f32> {
    let one = |rng: &mut dyn Rng| match fill {
        Fill::Normal => normal(rng),
        Fill::Coarse => (2.0 * normal(rng)).round() / 2.0,
        Fill::Negative => -0.01 - normal(rng).abs(),
        Fill::Positive => rng.random_range(0.5..1.5),
        Fill::Around(mean) => mean + normal(rng),
        Fill::Below(_) | Fill::UpTo(_) | Fill::Words => panic!("{fill:?} is for words"),
    };
    (0..n).map(|_| one(rng)).collect()
}

fn words(rng: &mut impl Rng, fill: Fill, n: usize) -> Vec<u32> {
    let one = |rng: &mut dyn Rng| match fill {
        Fill::Below(bound) => rng.random_range(0..bound),
        Fill::UpTo(bound) => rng.random_range(1..=bound),
        Fill::Words => rng.next_u32(),
        _ => panic!("{fill:?} is for real numbers"),
    };
    (0..n).map(|_| one(rng)).collect()
}

/// Draws a standard normal number with the Box-Muller method.
fn normal(rng: &mut dyn Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()) as f32
}
