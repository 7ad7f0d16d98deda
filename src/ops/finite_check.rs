//! The sticky flag: raised when any gradient is infinite or NaN. Every update of that step and of the
//! steps already in flight behind it then leaves the state as it is, so that the state before the
//! accident survives.
//!
//! Shaders: `shaders/finite_check/`. Derivation: `docs/ops/finite_check.md`.

use rayon::prelude::*;

use super::metrics::NOT_FINITE;
use super::{
    Args, Binding, Case, Launch, Op, OpEntry, OutputSpec, Real, Reference, Shader, Target, grid,
};
use crate::device::cpu::CHUNK;
use crate::tape::{Group, Initializer, Layout, NodeIo, Tape, Value};

/// Records the check of all gradients. The updates have to come behind it.
pub fn finite_check(tape: &mut Tape) {
    let (gradients, metrics) = (tape.whole(Group::Gradients), tape.whole(Group::Metrics));
    tape.push_one(FiniteCheck, &[gradients, metrics]);
}

/// `gradients, metrics -> metrics`
#[derive(Clone, Copy, Debug)]
pub struct FiniteCheck;

/// Elements that one invocation looks at.
const ELEMENTS_PER_SLAB: usize = 256;

impl Op for FiniteCheck {
    fn name(&self) -> &'static str {
        "finite_check.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("metrics", &inputs[1].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 1)]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let n_slabs = io.input(0).n_elements().div_ceil(ELEMENTS_PER_SLAB).max(1);
        let shader = |path| Shader::new(path).constant("N_SLABS", n_slabs);
        let scratch = Binding::Scratch(0);
        Launch::default()
            .with_scratch(n_slabs)
            .then(shader("finite_check/slabs"), &[Binding::Input(0), scratch], grid(n_slabs))
            .then(shader("finite_check/flag"), &[scratch, Binding::Output(0)], [1, 1, 1])
    }
}

impl Reference for FiniteCheck {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let gradients = args.inputs[0].real();
        let finite = |chunk: &[T]| chunk.iter().all(|g| g.is_finite());
        if !gradients.par_chunks(CHUNK).all(finite) {
            args.outputs[0].real()[NOT_FINITE] = T::ONE;
        }
    }
}

/// What the tests and benches run.
pub const ENTRY: OpEntry = OpEntry { stem: "finite_check", cases, bench_cases: |_, _| Vec::new() };

fn cases() -> Vec<Case> {
    let case = |n: usize| {
        Case::new(format!("{n} finite gradients"), 1, move |tape, _| {
            tape.parameter("p", &[n], Layout::Plain, Initializer::Constant(0.0));
            finite_check(tape);
            Vec::new()
        })
    };
    vec![case(5), case(40_000)]
}
