//! Batch norm in evaluation, with the running statistics of training.

use super::BatchNormGeometry;
use super::forward::normalise;
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Target, grid};
use crate::tape::{
    Args, Node, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId,
};

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

/// Batch norm in evaluation: `x, gamma, beta, running_mean, running_var -> y`. Only x can have a gradient, because
/// training normalises with the statistics of the batch, except in frozen layers.
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

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        backward(tape, node, self.eps, d_y)
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
        let (mean, y) = (mean.real(), args.outputs[0].real());
        let inv_std = inv_std(var.real(), self.eps, args.scratch.shared);
        normalise(x.real(), mean, inv_std, gamma.real(), beta.real(), y, &|_, _| {});
    }
}

/// Computes `1/√(var + eps)` for every channel, in the first elements of `scratch`.
pub(super) fn inv_std<'a, T: Real>(var: &[T], eps: f32, scratch: &'a mut [T]) -> &'a [T] {
    let (inv_std, eps) = (&mut scratch[..var.len()], T::from_f32(eps));
    inv_std.iter_mut().zip(var).for_each(|(s, &v)| *s = T::ONE / (v + eps).sqrt());
    inv_std
}

/// Records the gradient of x from the gradient of the batch norm's output. Returns the gradients of all inputs of
/// `node`, whose first five inputs are those of [`BatchNormEval`].
///
/// # Panics
/// If gamma, beta or a running statistic requires a gradient.
pub(super) fn backward(
    tape: &mut Tape,
    node: &Node,
    eps: f32,
    d_y: ValueId,
) -> Vec<Option<ValueId>> {
    let is_differentiated = |&id: &ValueId| tape.value(id).requires_grad;
    assert!(
        !node.inputs[1..5].iter().any(is_differentiated),
        "batch_norm: in evaluation, only x can have a gradient"
    );
    let [x, gamma, running_var] = [0, 1, 4].map(|ix| node.inputs[ix]);
    let mut d_inputs = vec![None; node.inputs.len()];
    if tape.value(x).requires_grad {
        let op = BatchNormEvalDInput { eps };
        d_inputs[0] = Some(tape.push_one(op, &[d_y, gamma, running_var]));
    }
    d_inputs
}

/// The gradient of x in evaluation: `d_y, gamma, running_var -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormEvalDInput {
    /// The number that is added to the variance.
    pub eps: f32,
}

impl Op for BatchNormEvalDInput {
    fn name(&self) -> &'static str {
        "batch_norm.eval_d_input"
    }

    fn attributes(&self) -> String {
        format!("eps {}", self.eps)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let d_y = &inputs[0].shape;
        BatchNormGeometry::new(d_y, &[&inputs[1].shape, &inputs[2].shape]);
        vec![OutputSpec::real("norm.d_input", d_y)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = BatchNormGeometry::new(io.input_shape(0), &[]);
        let shader = g.shader("batch_norm/eval_d_input").constant("EPS", self.eps);
        let mut bindings: Vec<_> = (0..3).map(Binding::Input).collect();
        bindings.push(Binding::Output(0));
        Launch::one(shader, &bindings, grid(g.rows() * g.channels))
    }
}

impl Reference for BatchNormEvalDInput {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        ScratchSize::shared(io.input(1).n_elements())
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [d_y, gamma, var] = args.inputs else { panic!("three inputs") };
        let (d_y, gamma, var) = (d_y.real(), gamma.real(), var.real());
        let (channels, eps) = (gamma.len(), T::from_f32(self.eps));
        let scale = &mut args.scratch.shared[..channels];
        for (scale, (&gamma, &var)) in scale.iter_mut().zip(gamma.iter().zip(var)) {
            *scale = gamma * (T::ONE / (var + eps).sqrt());
        }
        let size = (CHUNK / channels).max(1) * channels;
        for_each_chunk(args.outputs[0].real(), size, &|ix, d_x| {
            let rows = d_x.chunks_mut(channels).zip(chunk(d_y, ix, size).chunks(channels));
            for (d_x, d_y) in rows {
                for (d_x, (&d_y, &scale)) in d_x.iter_mut().zip(d_y.iter().zip(&*scale)) {
                    *d_x = d_y * scale;
                }
            }
        });
    }
}
