//! The gradient of batch norm: the sums that are the parameters' gradients, then the input's, which
//! uses them.

use rayon::prelude::*;

use super::{Geometry, x_hat};
use crate::device::cpu::{CHUNK, vectorised};
use crate::ops::channel_sum::{n_partials, sum_rows};
use crate::ops::{
    Args, Binding, Launch, Op, OutputSpec, Real, Reference, ScratchSize, Target, grid,
};
use crate::tape::{NodeIo, Value};

/// `x, d_y, mean, inv_std -> d_gamma, d_beta`
#[derive(Clone, Copy, Debug)]
pub struct BatchNormDParameters;

fn check_d_y(x: &[usize], d_y: &[usize]) {
    assert_eq!(x, d_y, "batch_norm: x is {x:?}, the gradient of y {d_y:?}");
}

impl Op for BatchNormDParameters {
    fn name(&self) -> &'static str {
        "batch_norm.d_parameters"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        check_d_y(&inputs[0].shape, &inputs[1].shape);
        let g = Geometry::new(&inputs[0].shape, &[&inputs[2].shape, &inputs[3].shape]);
        let per_channel = |name| OutputSpec::real(name, &[g.channels]);
        vec![per_channel("norm.d_gamma"), per_channel("norm.d_beta")]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        5 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = Geometry::new(io.input_shape(0), &[]);
        let n_partials = g.n_slabs * g.channels;
        let mut slabs: Vec<_> = (0..4).map(Binding::Input).collect();
        slabs.push(Binding::Scratch(0));
        Launch::default()
            .with_scratch(2 * n_partials)
            .then(g.shader("batch_norm/backward_slabs"), &slabs, grid(n_partials))
            .then(
                g.shader("batch_norm/backward_sums"),
                &[Binding::Scratch(0), Binding::Output(0), Binding::Output(1)],
                grid(g.channels),
            )
    }
}

impl Reference for BatchNormDParameters {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = Geometry::new(io.input_shape(0), &[]);
        // Two sums a channel, and their slabs.
        let n_sums = 2 * g.channels;
        ScratchSize::shared(n_sums + n_partials(g.rows, n_sums))
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, d_y, mean, inv_std] = args.inputs else { panic!("four inputs") };
        let (x, d_y, mean, inv_std) = (x.real(), d_y.real(), mean.real(), inv_std.real());
        let channels = mean.len();
        // Both sums in one walk: d_gamma in the first half, d_beta in the second.
        let (totals, partials) = args.scratch.shared.split_at_mut(2 * channels);
        sum_rows(x.len() / channels, totals, partials, |rows, sums| {
            let (d_gamma, d_beta) = sums.split_at_mut(channels);
            let rows = rows.start * channels..rows.end * channels;
            let rows = x[rows.clone()].chunks(channels).zip(d_y[rows].chunks(channels));
            vectorised(|| {
                for (x, d_y) in rows {
                    for c in 0..channels {
                        d_gamma[c] += d_y[c] * x_hat(x[c], mean[c], inv_std[c]);
                        d_beta[c] += d_y[c];
                    }
                }
            });
        });
        let [d_gamma, d_beta] = args.outputs else { panic!("two outputs") };
        d_gamma.real().copy_from_slice(&totals[..channels]);
        d_beta.real().copy_from_slice(&totals[channels..]);
    }
}

/// `x, d_y, mean, inv_std, gamma, d_gamma, d_beta -> d_x`
#[derive(Clone, Copy, Debug)]
pub struct BatchNormDInput;

impl Op for BatchNormDInput {
    fn name(&self) -> &'static str {
        "batch_norm.d_input"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        check_d_y(&inputs[0].shape, &inputs[1].shape);
        let per_channel: Vec<_> = inputs[2..].iter().map(|v| v.shape.as_slice()).collect();
        Geometry::new(&inputs[0].shape, &per_channel);
        vec![OutputSpec::real("norm.d_input", &inputs[0].shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        6 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = Geometry::new(io.input_shape(0), &[]);
        let mut bindings: Vec<_> = (0..7).map(Binding::Input).collect();
        bindings.push(Binding::Output(0));
        Launch::one(g.shader("batch_norm/d_input"), &bindings, grid(g.rows * g.channels))
    }
}

impl Reference for BatchNormDInput {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, d_y, mean, inv_std, gamma, d_gamma, d_beta] = args.inputs else {
            panic!("seven inputs")
        };
        let (mean, inv_std, gamma) = (mean.real(), inv_std.real(), gamma.real());
        let (d_gamma, d_beta) = (d_gamma.real(), d_beta.real());
        let (x, d_y) = (x.real(), d_y.real());
        let channels = mean.len();
        let n = T::from_count(x.len() / channels);
        let chunk = (CHUNK / channels).max(1) * channels;
        let sources = x.par_chunks(chunk).zip(d_y.par_chunks(chunk));
        args.outputs[0].real().par_chunks_mut(chunk).zip(sources).for_each(|(d_x, (x, d_y))| {
            let rows = x.chunks(channels).zip(d_y.chunks(channels));
            vectorised(|| {
                for (d_x, (x, d_y)) in d_x.chunks_mut(channels).zip(rows) {
                    for c in 0..channels {
                        let stretched = x_hat(x[c], mean[c], inv_std[c]) * (d_gamma[c] / n);
                        let centred = d_y[c] - d_beta[c] / n - stretched;
                        d_x[c] = gamma[c] * inv_std[c] * centred;
                    }
                }
            });
        });
    }
}
