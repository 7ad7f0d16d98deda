//! Batch norm with the ReLU behind it, and the addition behind that, in one pass each way.
//!
//! ```text
//! y = max(norm(x), 0) (+ residual)
//! ```
//!
//! [`batch_norm_relu`](crate::tape::fuse::batch_norm_relu) puts it in the place of the textbook's nodes. What lies
//! between them is never stored: the backward pass reads x, computes what the ReLU was given once more, and
//! masks the gradient with it.

use rayon::prelude::*;

use super::forward::{batch_statistics, geometry, launch_moments};
use super::{Geometry, x_hat};
use crate::device::cpu::CHUNK;
use crate::ops::channel_sum::sum_rows;
use crate::ops::{Args, Binding, Launch, Op, OutputSpec, Real, Reference, Target, grid};
use crate::tape::{Node, NodeIo, Tape, Value, ValueId};

/// `x, gamma, beta[, residual] -> y, mean, unbiased_variance, normaliser`
///
/// The normaliser, `[4, C]`, is what the passes need of each channel: mean, 1/√(var + eps), gamma, beta.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormRelu {
    /// Added to the variance.
    pub eps: f32,
    /// Whether something is added behind the ReLU.
    pub has_residual: bool,
}

impl Op for BatchNormRelu {
    fn name(&self) -> &'static str {
        if self.has_residual { "batch_norm_relu_add.forward" } else { "batch_norm_relu.forward" }
    }

    fn attributes(&self) -> String {
        format!("eps {}", self.eps)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let x = &inputs[0].shape;
        let g = Geometry::new(x, &[&inputs[1].shape, &inputs[2].shape]);
        assert!(g.rows > 1, "batch_norm: {x:?} does not have more than one value a channel");
        assert_eq!(inputs.len(), 3 + usize::from(self.has_residual), "batch_norm_relu: inputs");
        if let Some(residual) = inputs.get(3) {
            assert_eq!(x, &residual.shape, "batch_norm_relu: x and what is added to it");
        }
        vec![
            OutputSpec::real("relu", x),
            OutputSpec::real("mean", &[g.channels]),
            OutputSpec::real("unbiased_variance", &[g.channels]),
            OutputSpec::real("normaliser", &[4, g.channels]),
        ]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let (x, normaliser) = (node.inputs[0], node.outputs[3]);
        let sums = tape.push(BatchNormReluDParameters, &[x, d_y, normaliser]);
        let (d_gamma, d_beta) = (sums[0], sums[1]);
        let d_x = tape
            .value(x)
            .requires_grad
            .then(|| tape.push_one(BatchNormReluDInput, &[x, normaliser, d_y, d_gamma, d_beta]));
        let mut d_inputs = vec![d_x, Some(d_gamma), Some(d_beta)];
        if self.has_residual {
            d_inputs.push(Some(d_y));
        }
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        // Mean 1, deviations 3, normalisation 4, ReLU 1, and the addition.
        (9 + u64::from(self.has_residual)) * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = geometry(io);
        let (input, output) = (Binding::Input, Binding::Output);
        let mut bindings = vec![input(0), output(3), output(0)];
        let residual = match self.has_residual {
            true => "batch_norm/residual_some",
            false => "batch_norm/residual_none",
        };
        bindings.extend(self.has_residual.then_some(input(3)));
        let statistics = [output(1), output(2), output(3), input(1), input(2)];
        launch_moments(&g, self.eps, "batch_norm/emit_normaliser", &statistics).then(
            g.shader("batch_norm/relu_forward").import("residual", residual),
            &bindings,
            grid(g.rows * g.channels / 4),
        )
    }
}

impl Reference for BatchNormRelu {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = geometry(&args.io);
        let (x, gamma, beta) =
            (args.inputs[0].real(), args.inputs[1].real(), args.inputs[2].real());
        let residual = self.has_residual.then(|| args.inputs[3].real());
        let [y, mean, variance, normaliser] = args.outputs else {
            panic!("batch_norm_relu has four outputs")
        };
        let (mean, normaliser) = (mean.real(), normaliser.real());
        let channels = g.channels;
        let inv_std = &mut normaliser[channels..2 * channels];
        batch_statistics(&g, self.eps, x, mean, variance.real(), inv_std);
        normaliser[..channels].copy_from_slice(mean);
        normaliser[2 * channels..3 * channels].copy_from_slice(gamma);
        normaliser[3 * channels..].copy_from_slice(beta);
        let n = Channels::new(normaliser);
        let chunk = (CHUNK / channels).max(1) * channels;
        y.real().par_chunks_mut(chunk).zip(x.par_chunks(chunk)).enumerate().for_each(
            |(task, (y, x))| {
                for (y, x) in y.chunks_mut(channels).zip(x.chunks(channels)) {
                    for c in 0..channels {
                        let v = n.normalised(n.x_hat(x[c], c), c);
                        y[c] = if v <= T::ZERO { T::ZERO } else { v };
                    }
                }
                if let Some(residual) = residual {
                    let residual = &residual[task * chunk..][..y.len()];
                    y.iter_mut().zip(residual).for_each(|(y, &r)| *y += r);
                }
            },
        );
    }
}

/// A normaliser `[4, C]`, taken apart.
#[derive(Clone, Copy)]
struct Channels<'a, T> {
    mean: &'a [T],
    inv_std: &'a [T],
    gamma: &'a [T],
    beta: &'a [T],
}

impl<'a, T: Real> Channels<'a, T> {
    fn new(normaliser: &'a [T]) -> Self {
        let channels = normaliser.len() / 4;
        let mut rows = normaliser.chunks(channels);
        let mut row = || rows.next().expect("a normaliser has four rows");
        Self { mean: row(), inv_std: row(), gamma: row(), beta: row() }
    }

    #[inline]
    fn x_hat(&self, x: T, c: usize) -> T {
        x_hat(x, self.mean[c], self.inv_std[c])
    }

    /// What the ReLU sees.
    #[inline]
    fn normalised(&self, x_hat: T, c: usize) -> T {
        x_hat * self.gamma[c] + self.beta[c]
    }

    /// The gradient that the ReLU lets through.
    #[inline]
    fn masked(&self, d_y: T, x_hat: T, c: usize) -> T {
        if self.normalised(x_hat, c) > T::ZERO { d_y } else { T::ZERO }
    }
}

fn check(inputs: &[&Value], x: usize, normaliser: usize, d_y: usize) -> Geometry {
    let (shape, d_y) = (&inputs[x].shape, &inputs[d_y].shape);
    assert_eq!(shape, d_y, "batch_norm_relu: x is {shape:?}, the gradient of y {d_y:?}");
    let g = Geometry::new(shape, &[]);
    let normaliser = &inputs[normaliser].shape;
    assert_eq!(normaliser, &[4, g.channels], "batch_norm_relu: the normaliser is {normaliser:?}");
    g
}

/// `x, d_y, normaliser -> d_gamma, d_beta`
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
        // As without the ReLU, and what it was given, and a comparison.
        8 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = Geometry::new(io.input_shape(0), &[]);
        let inputs = [Binding::Input(0), Binding::Input(1), Binding::Input(2)];
        super::backward::launch_sums(&g, "batch_norm/gradient_relu", &inputs)
    }
}

impl Reference for BatchNormReluDParameters {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, d_y, normaliser] = args.inputs else { panic!("three inputs") };
        let (x, d_y, n) = (x.real(), d_y.real(), Channels::new(normaliser.real()));
        let channels = n.mean.len();
        // Both sums in one walk: d_gamma in the first half, d_beta in the second.
        let mut totals = vec![T::ZERO; 2 * channels];
        sum_rows(x.len() / channels, &mut totals, |row, sums| {
            let (d_gamma, d_beta) = sums.split_at_mut(channels);
            let row = row * channels..(row + 1) * channels;
            let (x, d_y) = (&x[row.clone()], &d_y[row]);
            for c in 0..channels {
                let x_hat = n.x_hat(x[c], c);
                let d = n.masked(d_y[c], x_hat, c);
                d_gamma[c] += d * x_hat;
                d_beta[c] += d;
            }
        });
        let [d_gamma, d_beta] = args.outputs else { panic!("two outputs") };
        d_gamma.real().copy_from_slice(&totals[..channels]);
        d_beta.real().copy_from_slice(&totals[channels..]);
    }
}

/// `x, normaliser, d_y, d_gamma, d_beta -> d_x`
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
        let g = Geometry::new(io.input_shape(0), &[]);
        let mut bindings: Vec<_> = (0..5).map(Binding::Input).collect();
        bindings.push(Binding::Output(0));
        let workgroups = grid(g.rows * g.channels / 4);
        Launch::one(g.shader("batch_norm/relu_d_input"), &bindings, workgroups)
    }
}

impl Reference for BatchNormReluDInput {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, normaliser, d_y, d_gamma, d_beta] = args.inputs else { panic!("five inputs") };
        let (x, d_y, n) = (x.real(), d_y.real(), Channels::new(normaliser.real()));
        let (d_gamma, d_beta) = (d_gamma.real(), d_beta.real());
        let channels = n.mean.len();
        let rows = T::from_count(x.len() / channels);
        let chunk = (CHUNK / channels).max(1) * channels;
        let sources = x.par_chunks(chunk).zip(d_y.par_chunks(chunk));
        args.outputs[0].real().par_chunks_mut(chunk).zip(sources).for_each(|(d_x, (x, d_y))| {
            let both = x.chunks(channels).zip(d_y.chunks(channels));
            for (d_x, (x, d_y)) in d_x.chunks_mut(channels).zip(both) {
                for c in 0..channels {
                    let x_hat = n.x_hat(x[c], c);
                    let d = n.masked(d_y[c], x_hat, c);
                    let centred = d - d_beta[c] / rows - x_hat * (d_gamma[c] / rows);
                    d_x[c] = n.gamma[c] * n.inv_std[c] * centred;
                }
            }
        });
    }
}
