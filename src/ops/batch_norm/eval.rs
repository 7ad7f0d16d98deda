//! Batch norm in evaluation, with the running statistics of training.

use super::BatchNormGeometry;
use super::forward::normalise;
use crate::kernel::{Binding, Launch, Real, Target, grid};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId};

/// Records batch norm with running statistics.
///
/// # Panics
/// If a parameter or a running statistic is not `[C]`.
pub fn batch_norm_eval(
    tape: &mut Tape,
    x: ValueId,
    gamma: ValueId,
    beta: ValueId,
    running_mean: ValueId,
    running_var: ValueId,
    eps: f32,
) -> ValueId {
    tape.push_one(BatchNormEval { eps }, &[x, gamma, beta, running_mean, running_var])
}

/// Batch norm in evaluation: `x, gamma, beta, running_mean, running_var -> y`. The op has no backward rule, because
/// training always normalises with the statistics of the batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormEval {
    /// The number that is added to the variance.
    pub eps: f32,
}

impl Op for BatchNormEval {
    fn name(&self) -> &'static str {
        "batch_norm.eval"
    }

    fn attributes(&self) -> String {
        format!("eps {}", self.eps)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let x = &inputs[0].shape;
        let per_channel: Vec<_> = inputs[1..].iter().map(|v| v.shape.as_slice()).collect();
        BatchNormGeometry::new(x, &per_channel);
        vec![OutputSpec::real("norm", x)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        4 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = BatchNormGeometry::new(io.input_shape(0), &[]);
        let shader = g.shader("batch_norm/eval").constant("EPS", self.eps);
        let mut bindings: Vec<_> = (0..5).map(Binding::Input).collect();
        bindings.push(Binding::Output(0));
        Launch::one(shader, &bindings, grid(g.rows() * g.channels))
    }
}

impl Reference for BatchNormEval {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        ScratchSize::shared(io.input(1).n_elements())
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, gamma, beta, mean, var] = args.inputs else { panic!("five inputs") };
        let eps = T::from_f32(self.eps);
        let (var, y) = (var.real(), args.outputs[0].real());
        let inv_std = &mut args.scratch.shared[..var.len()];
        inv_std.iter_mut().zip(var).for_each(|(s, &v)| *s = T::ONE / (v + eps).sqrt());
        normalise(x.real(), mean.real(), inv_std, gamma.real(), beta.real(), y);
    }
}
