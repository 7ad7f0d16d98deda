//! Batch norm, fused with the addition of a residual after it and the ReLU after the addition: the end of a residual
//! block.
//!
//! ```text
//! y = max(norm(x) + residual, 0)
//! ```
//!
//! [`batch_norm_add_relu`](crate::passes::fuse::batch_norm_add_relu) replaces the unfused nodes by this op, in training
//! and in evaluation. Neither the output of the batch norm nor the sum is stored. The backward pass stores the gradient
//! of the sum, because it is the gradient of the residual.

use super::backward::{BatchNormDInput, check_d_y, launch_sums, sum_terms, sums_scratch};
use super::eval::{self, inv_std};
use super::forward::{
    batch_statistics, geometry_from, geometry_of, launch_statistics, mean_m2_flops, mean_m2_of,
    normalise, statistics_scratch,
};
use super::{BatchNormGeometry, attributes};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::ops::partitions::{Partitions, sum_rows_writing};
use crate::ops::relu::ReluBackward;
use crate::tape::{
    Args, Node, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId,
};

/// The forward node in training: `x, gamma, beta, residual[, mean_m2] -> y, mean, unbiased_variance, inv_std`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormAddRelu {
    /// The number that is added to the variance.
    pub eps: f32,
    /// The partitions of x, if their mean and M2 are the last input, `[partitions, 2, C]`; `None` if the node itself
    /// computes mean and M2.
    pub mean_m2: Option<Partitions>,
}

/// Checks that the residual has the shape of x.
fn check_residual(x: &Value, residual: &Value) {
    let (x, residual) = (&x.shape, &residual.shape);
    assert_eq!(x, residual, "batch_norm_add_relu: x is {x:?}, the residual {residual:?}");
}

/// Returns the shader of the forward pass in training or in evaluation.
fn shader(g: &BatchNormGeometry, is_eval: bool) -> Shader {
    g.shader("batch_norm/add_relu_forward").constant("IS_EVAL", is_eval)
}

/// Overwrites the output `y` of the batch norm with `max(y + residual, 0)`.
fn add_relu<T: Real>(y: &mut [T], residual: &[T]) {
    for (y, &residual) in y.iter_mut().zip(residual) {
        let sum = *y + residual;
        *y = if sum <= T::ZERO { T::ZERO } else { sum };
    }
}

impl Op for BatchNormAddRelu {
    fn name(&self) -> &'static str {
        "batch_norm_add_relu.forward"
    }

    fn attributes(&self) -> String {
        attributes(self.eps, self.mean_m2)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let g = geometry_from(inputs, self.mean_m2);
        let n_inputs = 4 + usize::from(self.mean_m2.is_some());
        assert_eq!(inputs.len(), n_inputs, "batch_norm_add_relu: inputs");
        check_residual(inputs[0], inputs[3]);
        let per_channel = |name| OutputSpec::real(name, &[g.channels]);
        vec![
            OutputSpec::real("relu", &inputs[0].shape),
            per_channel("mean"),
            per_channel("unbiased_variance"),
            per_channel("inv_std"),
        ]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let (x, gamma) = (node.inputs[0], node.inputs[1]);
        let (y, mean, inv_std) = (node.outputs[0], node.outputs[1], node.outputs[3]);
        let outputs = tape.push(BatchNormAddReluDParameters, &[x, d_y, y, mean, inv_std]);
        let [d_gamma, d_beta, d_sum] = outputs[..] else { panic!("three outputs") };
        let d_x = tape.value(x).requires_grad.then(|| {
            tape.push_one(BatchNormDInput, &[x, d_sum, mean, inv_std, gamma, d_gamma, d_beta])
        });
        let mut d_inputs = vec![d_x, Some(d_gamma), Some(d_beta), Some(d_sum)];
        // The input mean_m2 gets no gradient, because d_x already includes the effect of x on mean and variance.
        d_inputs.resize(node.inputs.len(), None);
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        // Operations per element: 4 for the normalisation, 1 for the addition, 1 for the ReLU.
        (mean_m2_flops(self.mean_m2) + 6) * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = geometry_of(io, self.mean_m2);
        let (input, output) = (Binding::Input, Binding::Output);
        let statistics = [output(1), output(2), output(3)];
        let given = self.mean_m2.map(|_| input(io.n_inputs() - 1));
        launch_statistics(&g, given, self.eps, "batch_norm/emit_inv_std", &statistics).then(
            shader(&g, false),
            &[input(0), input(1), input(2), output(1), output(3), input(3), output(0)],
            grid(g.rows() * g.channels / 4),
        )
    }
}

impl Reference for BatchNormAddRelu {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        statistics_scratch(&geometry_of(io, self.mean_m2), self.mean_m2)
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = geometry_of(&args.io, self.mean_m2);
        let [x, gamma, beta, residual] = [0, 1, 2, 3].map(|ix| args.inputs[ix].real());
        let [y, mean, variance, inv_std] = args.outputs else { panic!("four outputs") };
        let (mean, variance, inv_std) = (mean.real(), variance.real(), inv_std.real());
        let given = self.mean_m2.map(|_| args.inputs[args.inputs.len() - 1].real());
        let (mean_m2, scratch) = mean_m2_of(&g, x, given, args.scratch.shared);
        batch_statistics(g, self.eps, mean_m2, scratch, mean, variance, inv_std);
        normalise(x, mean, inv_std, gamma, beta, y.real(), &|start, y| {
            add_relu(y, &residual[start..][..y.len()]);
        });
    }
}

/// The gradients of gamma, beta and the residual: `x, d_y, y, mean, inv_std -> d_gamma, d_beta, d_sum`. The gradient of
/// the sum, `d_sum`, is the gradient of the residual and of the batch norm's output.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormAddReluDParameters;

impl Op for BatchNormAddReluDParameters {
    fn name(&self) -> &'static str {
        "batch_norm_add_relu.d_parameters"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let x = &inputs[0].shape;
        check_d_y(x, &inputs[1].shape);
        check_d_y(x, &inputs[2].shape);
        let g = BatchNormGeometry::new(x, &[&inputs[3].shape, &inputs[4].shape]);
        let per_channel = |name| OutputSpec::real(name, &[g.channels]);
        vec![
            per_channel("norm.d_gamma"),
            per_channel("norm.d_beta"),
            OutputSpec::real("relu.d_sum", x),
        ]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        // Operations per element: 5 for the sums, 1 for the comparison with 0.
        6 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = BatchNormGeometry::new(io.input_shape(0), &[]);
        let inputs = (0..5).map(Binding::Input);
        let bindings: Vec<_> = inputs.chain([Binding::Output(2)]).collect();
        launch_sums(&g, "batch_norm/gradient_add_relu", &bindings)
    }
}

impl Reference for BatchNormAddReluDParameters {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        sums_scratch(&BatchNormGeometry::new(io.input_shape(0), &[]))
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, d_y, y, mean, inv_std] = args.inputs else { panic!("five inputs") };
        let (x, d_y, y) = (x.real(), d_y.real(), y.real());
        let (mean, inv_std) = (mean.real(), inv_std.real());
        let [d_gamma, d_beta, d_sum] = args.outputs else { panic!("three outputs") };
        let channels = mean.len();
        let (totals, partials) = args.scratch.shared.split_at_mut(2 * channels);
        sum_rows_writing(d_sum.real(), channels, totals, partials, &|rows, d_sum, sums| {
            let rows = rows.start * channels..rows.end * channels;
            let sources = y[rows.clone()].iter().zip(&d_y[rows.clone()]);
            for (d_sum, (&y, &d_y)) in d_sum.iter_mut().zip(sources) {
                *d_sum = if y > T::ZERO { d_y } else { T::ZERO };
            }
            sum_terms(&x[rows], d_sum, mean, inv_std, sums);
        });
        d_gamma.real().copy_from_slice(&totals[..channels]);
        d_beta.real().copy_from_slice(&totals[channels..]);
    }
}

/// The forward node in evaluation: `x, gamma, beta, running_mean, running_var, residual -> y`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormAddReluEval {
    /// The number that is added to the variance.
    pub eps: f32,
}

impl Op for BatchNormAddReluEval {
    fn name(&self) -> &'static str {
        "batch_norm_add_relu.eval"
    }

    fn attributes(&self) -> String {
        attributes(self.eps, None)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        assert_eq!(inputs.len(), 6, "batch_norm_add_relu: inputs");
        check_residual(inputs[0], inputs[5]);
        let per_channel: Vec<_> = inputs[1..5].iter().map(|v| v.shape.as_slice()).collect();
        BatchNormGeometry::new(&inputs[0].shape, &per_channel);
        vec![OutputSpec::real("relu", &inputs[0].shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let d_sum = tape.push_one(ReluBackward, &[node.outputs[0], d_y]);
        let mut d_inputs = eval::backward(tape, node, self.eps, d_sum);
        d_inputs[5] = Some(d_sum);
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        6 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = BatchNormGeometry::new(io.input_shape(0), &[]);
        let mut bindings: Vec<_> = (0..6).map(Binding::Input).collect();
        bindings.push(Binding::Output(0));
        let shader = shader(&g, true).constant("EPS", self.eps);
        Launch::one(shader, &bindings, grid(g.rows() * g.channels / 4))
    }
}

impl Reference for BatchNormAddReluEval {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        ScratchSize::shared(io.input(1).n_elements())
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, gamma, beta, mean, var, residual] = args.inputs else { panic!("six inputs") };
        let (mean, residual, y) = (mean.real(), residual.real(), args.outputs[0].real());
        let inv_std = inv_std(var.real(), self.eps, args.scratch.shared);
        normalise(x.real(), mean, inv_std, gamma.real(), beta.real(), y, &|start, y| {
            add_relu(y, &residual[start..][..y.len()]);
        });
    }
}
