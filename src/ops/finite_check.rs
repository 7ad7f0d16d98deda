//! The check of a step for infinite and NaN numbers, in all gradients and batch statistics. Such a number sets a flag
//! on the device. While the flag is set, every update leaves the state unchanged. [`OnNonFinite`] selects whether the
//! flag is set for one step or until the host clears it.
//!
//! Shaders: `shaders/finite_check/`. Derivation: `docs/ops/finite_check.md`.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::segments::alike;
use super::{Case, OpTests};
use crate::base::choice::Choice;
use crate::kernel::cpu::CHUNK;
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, Initializer, Layout, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value, ValueId,
};

/// Index of the flag in [`StateBuffer::Control`]. While the flag is not 0, no op changes the state. Its values are 0,
/// [`STOPPED`] and [`SKIPPED`].
pub const NOT_FINITE: usize = 0;

/// The flag's value after a number that is not finite, until the host clears it.
pub const STOPPED: f32 = 1.0;
/// The flag's value during a skipped step. The check of the next step overwrites the flag.
pub const SKIPPED: f32 = 2.0;

/// The reaction to a number that is not finite.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNonFinite {
    /// This step and all later steps change nothing, until the host clears the flag.
    #[default]
    Stop,
    /// This step changes nothing and is counted as skipped. The next step is checked for itself.
    Skip,
}

impl Choice for OnNonFinite {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Stop, "stop", "This step and all later steps change nothing, and the run ends"),
        (Self::Skip, "skip", "This step changes nothing and is counted, and the run continues"),
    ];
}

/// Records the check of all gradients, of the batch statistics if there are any, and of the values `also`. Call
/// this function before you record the updates of the state.
pub fn finite_check(tape: &mut Tape, also: &[ValueId], on_nan: OnNonFinite) {
    let mut inputs = vec![tape.whole(StateBuffer::Control), tape.whole(StateBuffer::Gradients)];
    if !tape.state().running_statistics.is_empty() {
        inputs.push(tape.whole(StateBuffer::BatchStatistics));
    }
    inputs.extend(also);
    tape.push_one(FiniteCheck { on_nan }, &inputs);
}

/// The check of all inputs but `control`. It sets the flag in `control`, in place: `control, numbers, ... -> control`.
#[derive(Clone, Copy, Debug)]
pub struct FiniteCheck {
    /// The reaction to a number that is not finite.
    pub on_nan: OnNonFinite,
}

/// Number of elements that one invocation checks.
const ELEMENTS_PER_PARTIAL: usize = 256;

impl Op for FiniteCheck {
    fn name(&self) -> &'static str {
        "finite_check.forward"
    }

    fn attributes(&self) -> String {
        match self.on_nan {
            OnNonFinite::Stop => String::new(),
            OnNonFinite::Skip => "skips steps".to_string(),
        }
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("control", &inputs[0].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let scratch = Binding::Scratch(0);
        let mut launch = Launch::default();
        let mut first = 0;
        for ix in 1..io.n_inputs() {
            for segment in alike(io, ix, target.max_segment) {
                let n_partials = segment.n_elements().div_ceil(ELEMENTS_PER_PARTIAL).max(1);
                let shader = Shader::new("finite_check/partials")
                    .constants(&[("FIRST", first), ("N_PARTIALS", n_partials)]);
                launch = launch.then(shader, &[segment.input(ix), scratch], grid(n_partials));
                first += n_partials;
            }
        }
        let flag = Shader::new("finite_check/flag")
            .constant("N_PARTIALS", first)
            .constant("SKIP", self.on_nan == OnNonFinite::Skip);
        launch.with_scratch(first).then(flag, &[scratch, Binding::Output(0)], [1, 1, 1])
    }
}

impl Reference for FiniteCheck {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let finite = |chunk: &[T]| chunk.iter().all(|number| number.is_finite());
        let found =
            args.inputs[1..].iter().any(|input| !input.real().par_chunks(CHUNK).all(finite));
        let control = args.outputs[0].real();
        if self.on_nan == OnNonFinite::Skip && control[NOT_FINITE] != T::from_f32(STOPPED) {
            control[NOT_FINITE] = T::from_f32(if found { SKIPPED } else { 0.0 });
        } else if found {
            control[NOT_FINITE] = T::from_f32(STOPPED);
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "finite_check", cases };

fn case(n_gradients: usize, n_statistics: usize, on_nan: OnNonFinite) -> Case {
    let name = format!("{n_gradients} gradients, {n_statistics} statistics, {on_nan:?}");
    Case::new(name, 1, move |tape, also| {
        for (name, n) in [("p", n_gradients), ("q", 70)] {
            tape.parameter(name, &[n], Layout::Plain, Initializer::Constant(0.0));
        }
        if n_statistics > 0 {
            tape.statistic("running_mean", &[n_statistics], 0.0);
        }
        finite_check(tape, also, on_nan);
        Vec::new()
    })
}

fn cases() -> Vec<Case> {
    vec![
        case(5, 0, OnNonFinite::Stop),
        case(40_000, 0, OnNonFinite::Stop),
        case(300, 70, OnNonFinite::Stop),
        case(67, 600, OnNonFinite::Skip),
    ]
}
