//! The running mean and variance of all batch norms: one dispatch over the flat buffers moves the running statistics
//! towards those of the batch.
//!
//! `statistics = (1 − momentum) · statistics + momentum · batch_statistics`, with the unbiased variance of
//! the batch, as in PyTorch.
//!
//! The statistics of frozen batch norms do not change.
//!
//! Shaders: `shaders/running_statistics/`. Derivation: `docs/ops/running_statistics.md`.

use std::sync::Arc;

use super::finite_check::NOT_FINITE;
use super::segments::{Segment, segments};
use super::{Case, OpTests};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value};

/// Records the update of all running statistics that are not [frozen](Tape::freeze); records nothing if there are none.
/// In a step over shards, [`StateBuffer::BatchStatistics`] has the sums of the shards' statistics, and the update takes
/// their mean.
pub fn update(tape: &mut Tape, momentum: f32) {
    let statistics = tape.state().running_statistics.iter();
    let is_frozen: Arc<[bool]> = statistics.map(|member| tape.is_frozen(&member.name)).collect();
    if is_frozen.iter().all(|&is_frozen| is_frozen) {
        return;
    }
    let buffers =
        [StateBuffer::BatchStatistics, StateBuffer::Control, StateBuffer::RunningStatistics];
    let inputs = buffers.map(|buffer| tape.whole(buffer));
    let n_shards = tape.state().n_shards;
    tape.push_one(RunningStatistics { momentum, n_shards, is_frozen }, &inputs);
}

/// The update of the running statistics, in place: `batch_statistics, control, statistics -> statistics`.
#[derive(Clone, Debug)]
pub struct RunningStatistics {
    /// The weight of the batch's statistics, from 0 to 1.
    pub momentum: f32,
    /// The number of shards whose statistics the batch's statistics are the sums of; 1 in a step without shards.
    pub n_shards: usize,
    /// True for each statistic of a frozen batch norm, in the order of the layout.
    pub is_frozen: Arc<[bool]>,
}

impl RunningStatistics {
    /// Returns the weight of a shard's statistics in their mean.
    fn share(&self) -> f32 {
        1.0 / self.n_shards as f32
    }

    /// Returns the segments of the statistics that are not frozen.
    fn segments<'a>(
        &self,
        io: &NodeIo<'a>,
        max_bytes: Option<u64>,
    ) -> impl Iterator<Item = Segment<bool>> + 'a {
        let is_frozen = Arc::clone(&self.is_frozen);
        let all = segments(io, 0, max_bytes, move |member| is_frozen[member]);
        all.filter(|segment| !segment.group)
    }
}

impl Op for RunningStatistics {
    fn name(&self) -> &'static str {
        "running_statistics.update"
    }

    fn attributes(&self) -> String {
        let n_frozen = self.is_frozen.iter().filter(|&&is_frozen| is_frozen).count();
        let frozen = if n_frozen > 0 { format!(", {n_frozen} frozen") } else { String::new() };
        let shards = match self.n_shards {
            1 => String::new(),
            n => format!(", mean of {n} shards"),
        };
        format!("momentum {}{shards}{frozen}", self.momentum)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("statistics", &inputs[2].shape)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 2)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        3 * self.segments(io, None).map(Segment::n_elements).sum::<usize>() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let shader = Shader::new("running_statistics/update")
            .constant("MOMENTUM", self.momentum)
            .constant("SHARE", self.share());
        self.segments(io, target.max_segment).fold(Launch::default(), |launch, segment| {
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
        let (momentum, share) = (T::from_f32(self.momentum), T::from_f32(self.share()));
        let statistics = args.outputs[0].real();
        for segment in self.segments(&args.io, None) {
            let here = segment.span.start..segment.span.end;
            for (running, &batch) in statistics[here.clone()].iter_mut().zip(&batch[here]) {
                *running = (T::ONE - momentum) * *running + momentum * (share * batch);
            }
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "running_statistics", cases };

fn cases() -> Vec<Case> {
    let case = |name, frozen: &'static str| {
        Case::new(name, 1, move |tape, _| {
            tape.freeze(&frozen.parse().expect("a list"));
            for (name, n) in [("a.running_mean", 5), ("b.running_mean", 67), ("c.running_mean", 3)]
            {
                tape.statistic(name, &[n], 0.0);
            }
            update(tape, 0.1);
            Vec::new()
        })
    };
    let sharded = Case::new("the mean of 3 shards", 1, |tape, _| {
        tape.divide_into_shards(3);
        tape.statistic("running_mean", &[67], 0.0);
        update(tape, 0.1);
        Vec::new()
    });
    vec![
        case("three layers, momentum 0.1", "none"),
        case("a frozen layer between two", "b"),
        sharded,
    ]
}
