//! The running mean and variance of all batch norms: one dispatch over the flat buffers moves the running statistics
//! towards those of the batch.
//!
//! `statistics = (1 − momentum) · statistics + momentum · batch_statistics`, with the unbiased variance of
//! the batch, as in PyTorch.
//!
//! Shaders: `shaders/running_statistics/`. Derivation: `docs/ops/running_statistics.md`.

use super::finite_check::NOT_FINITE;
use super::segments::alike;
use super::{Case, OpTests};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value};

/// Records the update of all running statistics; records nothing if the network has no running statistics.
pub fn update(tape: &mut Tape, momentum: f32) {
    if tape.state().running_statistics.is_empty() {
        return;
    }
    let buffers =
        [StateBuffer::BatchStatistics, StateBuffer::Control, StateBuffer::RunningStatistics];
    let inputs = buffers.map(|buffer| tape.whole(buffer));
    tape.push_one(RunningStatistics { momentum }, &inputs);
}

/// The update of the running statistics, in place: `batch_statistics, control, statistics -> statistics`.
#[derive(Clone, Copy, Debug)]
pub struct RunningStatistics {
    /// The weight of the batch's statistics, from 0 to 1.
    pub momentum: f32,
}

impl Op for RunningStatistics {
    fn name(&self) -> &'static str {
        "running_statistics.update"
    }

    fn attributes(&self) -> String {
        format!("momentum {}", self.momentum)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("statistics", &inputs[2].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 2)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        3 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let shader = Shader::new("running_statistics/update").constant("MOMENTUM", self.momentum);
        alike(io, 0, target.max_segment).fold(Launch::default(), |launch, segment| {
            let bindings = [segment.input(0), Binding::Input(1), segment.output(0)];
            launch.then(shader.clone(), &bindings, grid(segment.n_elements()))
        })
    }
}

impl Reference for RunningStatistics {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (batch, control) = (args.inputs[0].real(), args.inputs[1].real());
        if control[NOT_FINITE] != T::ZERO {
            return;
        }
        let momentum = T::from_f32(self.momentum);
        for (running, &batch) in args.outputs[0].real().iter_mut().zip(batch) {
            *running = (T::ONE - momentum) * *running + momentum * batch;
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "running_statistics", cases };

fn cases() -> Vec<Case> {
    vec![Case::new("two layers, momentum 0.1", 1, |tape, _| {
        tape.statistic("a.running_mean", &[5], 0.0);
        tape.statistic("b.running_mean", &[67], 0.0);
        update(tape, 0.1);
        Vec::new()
    })]
}
