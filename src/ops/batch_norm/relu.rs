//! Batch norm, fused with the ReLU after it and, if there is one, with the addition of a residual after the ReLU.
//!
//! ```text
//! y = max(norm(x), 0) (+ residual)
//! ```
//!
//! [`batch_norm_relu`](crate::passes::fuse::batch_norm_relu) replaces the unfused nodes by this op. The input of the
//! ReLU is never stored. The backward nodes recompute this input from x, and set the gradient to 0 where this input is
//! not positive.

use std::array::from_fn;
use std::ops::Range;

use super::backward::{launch_sums, sums_scratch};
use super::forward::{
    batch_statistics, geometry_from, geometry_of, launch_statistics, mean_m2_flops, mean_m2_of,
    statistics_scratch,
};
use super::{BatchNormGeometry, attributes, x_hat};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Target, grid};
use crate::ops::partitions::{Partitions, sum_rows};
use crate::tape::{
    Args, Node, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId,
};

/// The forward node: `x, gamma, beta[, residual][, mean_m2] -> y, mean, unbiased_variance, bn_affine`.
///
/// The four rows of bn_affine, `[4, C]`, are the mean, inv_std = 1/√(var + eps), gamma and beta.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormRelu {
    /// The number that is added to the variance.
    pub eps: f32,
    /// True if the node adds a residual, its fourth input, after the ReLU.
    pub has_residual: bool,
    /// The partitions of x, if their mean and M2 are the last input, `[partitions, 2, C]`; `None` if the node itself
    /// computes mean and M2.
    pub mean_m2: Option<Partitions>,
}

impl Op for BatchNormRelu {
    fn name(&self) -> &'static str {
        if self.has_residual { "batch_norm_relu_add.forward" } else { "batch_norm_relu.forward" }
    }

    fn attributes(&self) -> String {
        attributes(self.eps, self.mean_m2)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let x = &inputs[0].shape;
        let g = geometry_from(inputs, self.mean_m2);
        let n_more = usize::from(self.has_residual) + usize::from(self.mean_m2.is_some());
        assert_eq!(inputs.len(), 3 + n_more, "batch_norm_relu: inputs");
        if self.has_residual {
            assert_eq!(x, &inputs[3].shape, "batch_norm_relu: x and the residual");
        }
        vec![
            OutputSpec::real("relu", x),
            OutputSpec::real("mean", &[g.channels]),
            OutputSpec::real("unbiased_variance", &[g.channels]),
            OutputSpec::real("bn_affine", &[4, g.channels]),
        ]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let (x, bn_affine) = (node.inputs[0], node.outputs[3]);
        let sums = tape.push(BatchNormReluDParameters, &[x, d_y, bn_affine]);
        let (d_gamma, d_beta) = (sums[0], sums[1]);
        let d_x = tape
            .value(x)
            .requires_grad
            .then(|| tape.push_one(BatchNormReluDInput, &[x, bn_affine, d_y, d_gamma, d_beta]));
        let mut d_inputs = vec![d_x, Some(d_gamma), Some(d_beta)];
        if self.has_residual {
            d_inputs.push(Some(d_y));
        }
        // The input mean_m2 gets no gradient, because d_x already includes the effect of x on mean and variance.
        d_inputs.resize(node.inputs.len(), None);
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        // Operations per element: 4 for the normalisation, 1 for the ReLU, 1 for the addition of a residual.
        let activation = 5 + u64::from(self.has_residual);
        (mean_m2_flops(self.mean_m2) + activation) * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = geometry_of(io, self.mean_m2);
        let (input, output) = (Binding::Input, Binding::Output);
        let mut bindings = vec![input(0), output(3), output(0)];
        let residual = match self.has_residual {
            true => "batch_norm/residual_some",
            false => "batch_norm/residual_none",
        };
        bindings.extend(self.has_residual.then_some(input(3)));
        let statistics = [output(1), output(2), output(3), input(1), input(2)];
        let given = self.mean_m2.map(|_| input(io.n_inputs() - 1));
        launch_statistics(&g, given, self.eps, "batch_norm/emit_bn_affine", &statistics).then(
            g.shader("batch_norm/relu_forward").import("residual", residual),
            &bindings,
            grid(g.rows() * g.channels / 4),
        )
    }
}

impl Reference for BatchNormRelu {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        statistics_scratch(&geometry_of(io, self.mean_m2), self.mean_m2)
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = geometry_of(&args.io, self.mean_m2);
        let (x, gamma, beta) =
            (args.inputs[0].real(), args.inputs[1].real(), args.inputs[2].real());
        let residual = self.has_residual.then(|| args.inputs[3].real());
        let [y, mean, variance, bn_affine] = args.outputs else {
            panic!("batch_norm_relu has four outputs")
        };
        let (mean, variance, bn_affine) = (mean.real(), variance.real(), bn_affine.real());
        let channels = g.channels;
        let inv_std = &mut bn_affine[channels..2 * channels];
        let given = self.mean_m2.map(|_| args.inputs[args.inputs.len() - 1].real());
        let (mean_m2, scratch) = mean_m2_of(&g, x, given, args.scratch.shared);
        batch_statistics(g, self.eps, mean_m2, scratch, mean, variance, inv_std);
        bn_affine[..channels].copy_from_slice(mean);
        bn_affine[2 * channels..3 * channels].copy_from_slice(gamma);
        bn_affine[3 * channels..].copy_from_slice(beta);
        let bn_affine = &*bn_affine;
        let size = (CHUNK / channels).max(1) * channels;
        for_each_chunk(y.real(), size, &|ix, y| {
            let x = chunk(x, ix, size);
            activate::<T, LANES>(whole(channels), x, bn_affine, y);
            activate::<T, 1>(rest(channels), x, bn_affine, y);
            if let Some(residual) = residual {
                y.iter_mut().zip(chunk(residual, ix, size)).for_each(|(y, &r)| *y += r);
            }
        });
    }
}

/// The four rows of bn_affine for `L` channels.
struct Channels<T, const L: usize> {
    mean: [T; L],
    inv_std: [T; L],
    gamma: [T; L],
    beta: [T; L],
}

impl<T: Real, const L: usize> Channels<T, L> {
    /// Reads the `L` channels from `c` on.
    #[inline]
    fn new(bn_affine: &[T], c: usize) -> Self {
        let row = |ix: usize| lanes(bn_affine, ix * (bn_affine.len() / 4) + c);
        Self { mean: row(0), inv_std: row(1), gamma: row(2), beta: row(3) }
    }

    #[inline]
    fn x_hat(&self, x: T, i: usize) -> T {
        x_hat(x, self.mean[i], self.inv_std[i])
    }

    /// Returns the output of the batch norm, which is the input of the ReLU.
    #[inline]
    fn normalised(&self, x_hat: T, i: usize) -> T {
        x_hat * self.gamma[i] + self.beta[i]
    }

    /// Returns the gradient of the ReLU's input: `d_y` where this input is positive, otherwise 0.
    #[inline]
    fn masked(&self, d_y: T, x_hat: T, i: usize) -> T {
        if self.normalised(x_hat, i) > T::ZERO { d_y } else { T::ZERO }
    }
}

/// Computes `y = max(norm(x), 0)` in some rows for some channels, `L` channels at a time.
fn activate<T: Real, const L: usize>(
    channels: Range<usize>,
    x: &[T],
    bn_affine: &[T],
    y: &mut [T],
) {
    let n_channels = bn_affine.len() / 4;
    for c in channels.step_by(L) {
        let n = Channels::<T, L>::new(bn_affine, c);
        for at in (c..x.len()).step_by(n_channels) {
            let x: [T; L] = lanes(x, at);
            let y_of = |i: usize| {
                let v = n.normalised(n.x_hat(x[i], i), i);
                if v <= T::ZERO { T::ZERO } else { v }
            };
            store(y, at, from_fn::<_, L, _>(y_of));
        }
    }
}

/// Returns the geometry of a backward node and checks its shapes. `x`, `bn_affine` and `d_y` are indices in `inputs`.
fn check(inputs: &[&Value], x: usize, bn_affine: usize, d_y: usize) -> BatchNormGeometry {
    let (shape, d_y) = (&inputs[x].shape, &inputs[d_y].shape);
    assert_eq!(shape, d_y, "batch_norm_relu: x is {shape:?}, the gradient of y {d_y:?}");
    let g = BatchNormGeometry::new(shape, &[]);
    let bn_affine = &inputs[bn_affine].shape;
    assert_eq!(bn_affine, &[4, g.channels], "batch_norm_relu: bn_affine is {bn_affine:?}");
    g
}

/// The gradients of gamma and beta: `x, d_y, bn_affine -> d_gamma, d_beta`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormReluDParameters;

impl Op for BatchNormReluDParameters {
    fn name(&self) -> &'static str {
        "batch_norm_relu.d_parameters"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let channels = [check(inputs, 0, 2, 1).channels];
        vec![
            OutputSpec::real("norm.d_gamma", &channels),
            OutputSpec::real("norm.d_beta", &channels),
        ]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        // Operations per element: 5 for the sums, 2 for the input of the ReLU, 1 for the comparison with 0.
        8 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = BatchNormGeometry::new(io.input_shape(0), &[]);
        let inputs = [Binding::Input(0), Binding::Input(1), Binding::Input(2)];
        launch_sums(&g, "batch_norm/gradient_relu", &inputs)
    }
}

impl Reference for BatchNormReluDParameters {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        sums_scratch(&BatchNormGeometry::new(io.input_shape(0), &[]))
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, d_y, bn_affine] = args.inputs else { panic!("three inputs") };
        let (x, d_y, bn_affine) = (x.real(), d_y.real(), bn_affine.real());
        let channels = bn_affine.len() / 4;
        // One pass over x computes both sums: d_gamma is the first half of `totals`, and d_beta is the second half.
        let (totals, partials) = args.scratch.shared.split_at_mut(2 * channels);
        sum_rows(x.len() / channels, totals, partials, &|rows, sums| {
            let rows = rows.start * channels..rows.end * channels;
            let (x, d_y) = (&x[rows.clone()], &d_y[rows]);
            sum_channels::<T, LANES>(whole(channels), x, d_y, bn_affine, sums);
            sum_channels::<T, 1>(rest(channels), x, d_y, bn_affine, sums);
        });
        let [d_gamma, d_beta] = args.outputs else { panic!("two outputs") };
        d_gamma.real().copy_from_slice(&totals[..channels]);
        d_beta.real().copy_from_slice(&totals[channels..]);
    }
}

/// Adds the terms of d_gamma and d_beta in some rows to `sums`, for some channels, `L` channels at a time.
fn sum_channels<T: Real, const L: usize>(
    channels: Range<usize>,
    x: &[T],
    d_y: &[T],
    bn_affine: &[T],
    sums: &mut [T],
) {
    let n_channels = bn_affine.len() / 4;
    for c in channels.step_by(L) {
        let n = Channels::<T, L>::new(bn_affine, c);
        let (mut d_gamma, mut d_beta): ([T; L], [T; L]) =
            (lanes(sums, c), lanes(sums, n_channels + c));
        for at in (c..x.len()).step_by(n_channels) {
            let (x, d_y): ([T; L], [T; L]) = (lanes(x, at), lanes(d_y, at));
            for i in 0..L {
                let x_hat = n.x_hat(x[i], i);
                let d = n.masked(d_y[i], x_hat, i);
                d_gamma[i] += d * x_hat;
                d_beta[i] += d;
            }
        }
        store(sums, c, d_gamma);
        store(sums, n_channels + c, d_beta);
    }
}

/// The gradient of the input: `x, bn_affine, d_y, d_gamma, d_beta -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormReluDInput;

impl Op for BatchNormReluDInput {
    fn name(&self) -> &'static str {
        "batch_norm_relu.d_input"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        check(inputs, 0, 1, 2);
        vec![OutputSpec::real("norm.d_input", &inputs[0].shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        9 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = BatchNormGeometry::new(io.input_shape(0), &[]);
        let mut bindings: Vec<_> = (0..5).map(Binding::Input).collect();
        bindings.push(Binding::Output(0));
        let workgroups = grid(g.rows() * g.channels / 4);
        Launch::one(g.shader("batch_norm/relu_d_input"), &bindings, workgroups)
    }
}

impl Reference for BatchNormReluDInput {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, bn_affine, d_y, d_gamma, d_beta] = args.inputs else { panic!("five inputs") };
        let (x, d_y, bn_affine) = (x.real(), d_y.real(), bn_affine.real());
        let sums = [d_gamma.real(), d_beta.real()];
        let channels = bn_affine.len() / 4;
        let n_rows = T::from_count(x.len() / channels);
        let size = (CHUNK / channels).max(1) * channels;
        for_each_chunk(args.outputs[0].real(), size, &|ix, d_x| {
            let (x, d_y) = (chunk(x, ix, size), chunk(d_y, ix, size));
            d_input_channels::<T, LANES>(whole(channels), x, d_y, bn_affine, sums, n_rows, d_x);
            d_input_channels::<T, 1>(rest(channels), x, d_y, bn_affine, sums, n_rows, d_x);
        });
    }
}

/// Computes the gradient of the input in some rows for some channels, `L` channels at a time.
fn d_input_channels<T: Real, const L: usize>(
    channels: Range<usize>,
    x: &[T],
    d_y: &[T],
    bn_affine: &[T],
    sums: [&[T]; 2],
    n_rows: T,
    d_x: &mut [T],
) {
    let n_channels = bn_affine.len() / 4;
    for c in channels.step_by(L) {
        let n = Channels::<T, L>::new(bn_affine, c);
        let [d_gamma, d_beta]: [[T; L]; 2] = sums.map(|values| lanes(values, c));
        let scale: [T; L] = from_fn(|i| n.gamma[i] * n.inv_std[i]);
        let (mean_d_y, slope): ([T; L], [T; L]) =
            (from_fn(|i| d_beta[i] / n_rows), from_fn(|i| d_gamma[i] / n_rows));
        for at in (c..x.len()).step_by(n_channels) {
            let (x, d_y): ([T; L], [T; L]) = (lanes(x, at), lanes(d_y, at));
            let d_x_of = |i: usize| {
                let x_hat = n.x_hat(x[i], i);
                scale[i] * (n.masked(d_y[i], x_hat, i) - mean_d_y[i] - x_hat * slope[i])
            };
            store(d_x, at, from_fn::<_, L, _>(d_x_of));
        }
    }
}
