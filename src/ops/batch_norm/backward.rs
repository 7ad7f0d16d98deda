//! The gradient of batch norm: the sums that are the parameters' gradients, then the input's, which
//! uses them.

use rayon::prelude::*;

use super::{Geometry, x_hat};
use crate::device::cpu::CHUNK;
use crate::ops::channel_sum::sum_rows;
use crate::ops::{Args, Binding, Launch, Op, OutputSpec, Real, Reference, Shader, Target, grid};
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
        let inputs: Vec<_> = (0..4).map(Binding::Input).collect();
        launch_sums(&g, "batch_norm/gradient_plain", &inputs)
    }
}

/// The two sums over slabs, then over the slabs; `gradient` is the file that says what is summed.
pub(super) fn launch_sums(g: &Geometry, gradient: &'static str, inputs: &[Binding]) -> Launch {
    let n_partials = g.n_slabs * g.channels;
    let bindings: Vec<_> = inputs.iter().copied().chain([Binding::Scratch(0)]).collect();
    let slabs = Launch::default().with_scratch(2 * n_partials).then(
        g.shader("batch_norm/backward_slabs").import("gradient", gradient),
        &bindings,
        grid(n_partials),
    );
    let finish = |shader: Shader| shader.import("emit", "batch_norm/emit_gradients");
    let gradients = [Binding::Output(0), Binding::Output(1)];
    g.merge_slabs(slabs, "batch_norm/backward_sums", finish, &gradients)
}

impl Reference for BatchNormDParameters {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, d_y, mean, inv_std] = args.inputs else { panic!("four inputs") };
        let (x, d_y, mean, inv_std) = (x.real(), d_y.real(), mean.real(), inv_std.real());
        let channels = mean.len();
        // Both sums in one walk: d_gamma in the first half, d_beta in the second.
        let mut totals = vec![T::ZERO; 2 * channels];
        sum_rows(x.len() / channels, &mut totals, |row, sums| {
            let (d_gamma, d_beta) = sums.split_at_mut(channels);
            let row = row * channels..(row + 1) * channels;
            let (x, d_y) = (&x[row.clone()], &d_y[row]);
            for c in 0..channels {
                d_gamma[c] += d_y[c] * x_hat(x[c], mean[c], inv_std[c]);
                d_beta[c] += d_y[c];
            }
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
            for (d_x, (x, d_y)) in d_x.chunks_mut(channels).zip(rows) {
                for c in 0..channels {
                    let stretched = x_hat(x[c], mean[c], inv_std[c]) * (d_gamma[c] / n);
                    let centred = d_y[c] - d_beta[c] / n - stretched;
                    d_x[c] = gamma[c] * inv_std[c] * centred;
                }
            }
        });
    }
}
