//! The sum over the shards of a step, in a binary tree.
//!
//! A step over S shards computes the results of one shard after another: gradients, batch statistics, metrics. Their sum
//! is a tree over the numbers of the shards, which depends on S alone:
//!
//! ```text
//! level 3                    0..8
//! level 2           0..4             4..8
//! level 1       0..2    2..4     4..6    6..8
//! level 0       0   1   2   3    4   5   6   7
//! ```
//!
//! The sums are kept like the digits of a binary counter: there is one partial sum of each level at most. After shard 5,
//! for example, level 2 has the sum of the shards 0..4, and level 1 has the sum of 4..6. So S shards need log2 S buffers.
//!
//! Each node has one level and one buffer. The host decides for each shard which nodes add and which one stores
//! ([`StepScalars`](crate::kernel::StepScalars)). Shaders: `shaders/partial_sum/`. Derivation: `docs/ops/partial_sum.md`.

use super::segments::alike;
use super::{Case, OpTests};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::for_each_chunk_of_two;
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, Initializer, Layout, NodeIo, Op, OutputSpec, Reference, StateBuffer, Tape, Value,
};

/// Records the addition of a shard's results to those of the shards before it: a node for each level of the tree and each
/// buffer of [`StateBuffer::REDUCED`] that has elements. Records nothing in a step without shards.
pub fn accumulate(tape: &mut Tape) {
    for level in 0..tape.state().n_levels() {
        for buffer in StateBuffer::REDUCED {
            if tape.state().n_elements(buffer) > 0 {
                let inputs = [tape.whole(buffer), tape.partial(level, buffer)];
                tape.push(PartialSum { level }, &inputs);
            }
        }
    }
}

/// The addition of a partial sum, or its storage, in place: `results, partial -> results, partial`.
///
/// ```text
/// if bit `level` of added_levels:  results = partial + results
/// if bit `level` of stored_level:  partial = results
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PartialSum {
    /// The level of the partial sum in the tree. The sum of level l has 2^l shards, or fewer at the end of the shards.
    pub level: usize,
}

impl PartialSum {
    /// Returns true if the mask has the bit of this level.
    fn is_in(self, mask: u32) -> bool {
        (mask >> self.level) & 1 == 1
    }
}

impl Op for PartialSum {
    fn name(&self) -> &'static str {
        "partial_sum.accumulate"
    }

    fn attributes(&self) -> String {
        format!("level {}", self.level)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (results, partial) = (&inputs[0].shape, &inputs[1].shape);
        assert_eq!(results, partial, "partial_sum: the results and their sum differ in length");
        vec![OutputSpec::real("results", results), OutputSpec::real("partial", partial)]
    }

    fn aliases(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (1, 1)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let shader = Shader::new("partial_sum/accumulate").constant("LEVEL", self.level);
        alike(io, 0, target.max_segment).fold(Launch::default(), |launch, segment| {
            let bindings = [segment.output(0), segment.output(1), Binding::Step];
            launch.then(shader.clone(), &bindings, grid(segment.n_elements()))
        })
    }
}

impl Reference for PartialSum {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let is_added = self.is_in(args.step.added_levels);
        let is_stored = self.is_in(args.step.stored_level);
        let [results, partial] = args.outputs else { panic!("two outputs") };
        if is_added || is_stored {
            let (results, partial) = ((results.real(), CHUNK), (partial.real(), CHUNK));
            for_each_chunk_of_two(results, partial, &|_, results, partial| {
                if is_added {
                    results.iter_mut().zip(&*partial).for_each(|(r, &p)| *r = p + *r);
                }
                if is_stored {
                    partial.copy_from_slice(results);
                }
            });
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "partial_sum", cases };

fn cases() -> Vec<Case> {
    // The checks add level 0, store level 1, and do neither with level 2.
    let case = |name, n_shards, n_statistics: usize| {
        Case::new(name, 1, move |tape, _| {
            tape.divide_into_shards(n_shards);
            for (ix, n) in [5, 67, 300].into_iter().enumerate() {
                let initializer = Initializer::Constant(0.0);
                tape.parameter(&format!("p{ix}"), &[n], Layout::Plain, initializer);
            }
            if n_statistics > 0 {
                tape.statistic("running_mean", &[n_statistics], 0.0);
            }
            accumulate(tape);
            Vec::new()
        })
    };
    vec![
        case("2 shards, a sum is added", 2, 0),
        case("4 shards, a sum is added, another is stored", 4, 70),
        case("6 shards", 6, 3),
    ]
}
