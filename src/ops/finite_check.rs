//! The check of a step: is any gradient, or any statistic of the batch, infinite or NaN? If so, a flag
//! goes up on the device, and every update of that step leaves the state as it is. [`OnNan`] says for
//! how long.
//!
//! Shaders: `shaders/finite_check/`. Derivation: `docs/ops/finite_check.md`.

use clap::ValueEnum;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::metrics::{N_SKIPPED, NOT_FINITE, SKIPPED, STOPPED};
use super::{Case, OpEntry};
use crate::kernel::cpu::CHUNK;
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, Group, Initializer, Layout, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId,
};

/// What follows from a number that is not finite.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNan {
    /// That step changes nothing, nor does any after it, until the host has looked.
    #[default]
    Stop,
    /// That step changes nothing and is counted; the next one is checked for itself.
    Skip,
}

/// Records the check of all gradients, of the batch's statistics where there are any, and of the values
/// `also`. The updates have to come behind it.
pub fn finite_check(tape: &mut Tape, also: &[ValueId], on_nan: OnNan) {
    let mut inputs = vec![tape.whole(Group::Metrics), tape.whole(Group::Gradients)];
    if !tape.state().statistics.is_empty() {
        inputs.push(tape.whole(Group::BatchStatistics));
    }
    inputs.extend(also);
    tape.push_one(FiniteCheck { on_nan }, &inputs);
}

/// `metrics, numbers, ... -> metrics`
#[derive(Clone, Copy, Debug)]
pub struct FiniteCheck {
    /// What follows from a number that is not finite.
    pub on_nan: OnNan,
}

/// Elements that one invocation looks at.
const ELEMENTS_PER_SLAB: usize = 256;

impl Op for FiniteCheck {
    fn name(&self) -> &'static str {
        "finite_check.forward"
    }

    fn attributes(&self) -> String {
        match self.on_nan {
            OnNan::Stop => String::new(),
            OnNan::Skip => "skips steps".to_string(),
        }
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("metrics", &inputs[0].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let scratch = Binding::Scratch(0);
        let mut launch = Launch::default();
        let mut first = 0;
        for ix in 1..io.n_inputs() {
            let n_slabs = io.input(ix).n_elements().div_ceil(ELEMENTS_PER_SLAB).max(1);
            let shader = Shader::new("finite_check/slabs")
                .constants(&[("FIRST", first), ("N_SLABS", n_slabs)]);
            launch = launch.then(shader, &[Binding::Input(ix), scratch], grid(n_slabs));
            first += n_slabs;
        }
        let flag = Shader::new("finite_check/flag")
            .constant("N_SLABS", first)
            .constant("SKIP", self.on_nan == OnNan::Skip);
        launch.with_scratch(first).then(flag, &[scratch, Binding::Output(0)], [1, 1, 1])
    }
}

impl Reference for FiniteCheck {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let finite = |chunk: &[T]| chunk.iter().all(|number| number.is_finite());
        let found =
            args.inputs[1..].iter().any(|input| !input.real().par_chunks(CHUNK).all(finite));
        let metrics = args.outputs[0].real();
        if self.on_nan == OnNan::Skip && metrics[NOT_FINITE] != T::from_f32(STOPPED) {
            metrics[NOT_FINITE] = T::from_f32(if found { SKIPPED } else { 0.0 });
            metrics[N_SKIPPED] += T::from_count(usize::from(found));
        } else if found {
            metrics[NOT_FINITE] = T::from_f32(STOPPED);
        }
    }
}

/// What the tests and benches run.
pub const ENTRY: OpEntry = OpEntry { stem: "finite_check", cases, bench_cases };

fn case(n_gradients: usize, n_statistics: usize, on_nan: OnNan) -> Case {
    let name = format!("{n_gradients} gradients, {n_statistics} statistics, {on_nan:?}");
    Case::new(name, 1, move |tape, also| {
        tape.parameter("p", &[n_gradients], Layout::Plain, Initializer::Constant(0.0));
        if n_statistics > 0 {
            tape.statistic("running_mean", &[n_statistics], 0.0);
        }
        finite_check(tape, also, on_nan);
        Vec::new()
    })
}

fn cases() -> Vec<Case> {
    vec![
        case(5, 0, OnNan::Stop),
        case(40_000, 0, OnNan::Stop),
        case(300, 70, OnNan::Stop),
        case(67, 600, OnNan::Skip),
    ]
}

fn bench_cases(width: usize, _: usize) -> Vec<Case> {
    // The network's 6,573,120 gradients and 4,480 statistics at width 64.
    vec![case(6_573_120 / 64 * width / 64 * width, 70 * width, OnNan::Stop)]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::device::cpu::CpuDevice;
    use crate::device::{LoadOptions, Session};
    use crate::kernel::StepScalars;
    use crate::ops::metrics::Metrics;
    use crate::tape::Mode;

    /// What the metrics say after each of these gradients, one a step.
    fn after(on_nan: OnNan, gradients: &[f32], held: bool) -> Vec<(bool, f64)> {
        let mut tape = Tape::new("test", Mode::Train);
        tape.parameter("p", &[1], Layout::Plain, Initializer::Constant(0.0));
        finite_check(&mut tape, &[], on_nan);
        let mut session = CpuDevice::default().session::<f32>(tape.state());
        let n_elements = tape.state().n_elements(Group::Gradients);
        let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
        let mut metrics = session.read_state(Group::Metrics).expect("metrics");
        metrics[NOT_FINITE] = if held { STOPPED } else { 0.0 };
        session.write_state(Group::Metrics, &metrics).expect("written");
        let step = |&gradient: &f32| {
            let mut flat = vec![0.0; n_elements];
            flat[0] = gradient;
            session.write_state(Group::Gradients, &flat).expect("written");
            session.run(program, &StepScalars::default()).expect("a run");
            let metrics = session.read_state(Group::Metrics).expect("metrics");
            (Metrics::from_slice(&metrics).not_finite, Metrics::from_slice(&metrics).n_skipped)
        };
        gradients.iter().map(step).collect()
    }

    #[test]
    fn the_flag_is_sticky_or_stands_for_one_step() {
        let gradients = [1.0, f32::NAN, 1.0, f32::NEG_INFINITY];
        let stopped = [(false, 0.0), (true, 0.0), (true, 0.0), (true, 0.0)];
        assert_eq!(after(OnNan::Stop, &gradients, false), stopped);
        let skipped = [(false, 0.0), (false, 1.0), (false, 1.0), (false, 2.0)];
        assert_eq!(after(OnNan::Skip, &gradients, false), skipped);
    }

    #[test]
    fn a_flag_that_the_host_raised_stays_up() {
        for on_nan in [OnNan::Stop, OnNan::Skip] {
            assert_eq!(after(on_nan, &[1.0, f32::NAN], true), [(true, 0.0); 2]);
        }
    }
}
