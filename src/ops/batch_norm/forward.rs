//! Batch norm in training: the moments of the batch, and the batch normalised with them.

use rayon::prelude::*;

use super::backward::{BatchNormDInput, BatchNormDParameters};
use super::{Geometry, x_hat};
use crate::device::cpu::CHUNK;
use crate::ops::{Args, Binding, Launch, Op, OutputSpec, Real, Reference, Shader, Target, grid};
use crate::tape::{Node, NodeIo, Tape, Value, ValueId};

/// What batch norm makes in training.
#[derive(Clone, Copy, Debug)]
pub struct Normalised {
    /// The normalised batch, x's shape.
    pub y: ValueId,
    /// The batch's mean, `[C]`.
    pub mean: ValueId,
    /// The batch's unbiased variance, `[C]`: what the running estimate takes.
    pub unbiased_variance: ValueId,
}

/// Records batch norm with the statistics of the batch.
///
/// # Panics
/// When gamma or beta is not `[C]`, or there is only one value a channel.
pub fn batch_norm(
    tape: &mut Tape,
    x: ValueId,
    gamma: ValueId,
    beta: ValueId,
    eps: f32,
) -> Normalised {
    let outputs = tape.push(BatchNorm { eps }, &[x, gamma, beta]);
    Normalised { y: outputs[0], mean: outputs[1], unbiased_variance: outputs[2] }
}

/// `x, gamma, beta -> y, mean, unbiased_variance, inv_std`
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
}

pub(super) fn geometry(io: &NodeIo<'_>) -> Geometry {
    Geometry::new(io.input_shape(0), &[io.input_shape(1), io.input_shape(2)])
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm.forward"
    }

    fn attributes(&self) -> String {
        format!("eps {}", self.eps)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let x = &inputs[0].shape;
        let g = Geometry::new(x, &[&inputs[1].shape, &inputs[2].shape]);
        assert!(g.rows > 1, "batch_norm: {x:?} does not have more than one value a channel");
        let per_channel = |name| OutputSpec::real(name, &[g.channels]);
        vec![
            OutputSpec::real("norm", x),
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
        assert!(
            d_outputs[1..].iter().all(Option::is_none),
            "batch_norm: statistics have no gradient"
        );
        let (x, gamma) = (node.inputs[0], node.inputs[1]);
        let (mean, inv_std) = (node.outputs[1], node.outputs[3]);
        let sums = tape.push(BatchNormDParameters, &[x, d_y, mean, inv_std]);
        let (d_gamma, d_beta) = (sums[0], sums[1]);
        let d_x = tape.value(x).requires_grad.then(|| {
            tape.push_one(BatchNormDInput, &[x, d_y, mean, inv_std, gamma, d_gamma, d_beta])
        });
        vec![d_x, Some(d_gamma), Some(d_beta)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        // Mean 1, deviations 3, normalisation 4.
        8 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = geometry(io);
        let (input, output) = (Binding::Input, Binding::Output);
        let statistics = [output(1), output(2), output(3)];
        launch_moments(&g, self.eps, "batch_norm/emit_inv_std", &statistics).then(
            g.shader("batch_norm/forward"),
            &[input(0), input(1), input(2), output(1), output(3), output(0)],
            grid(g.rows * g.channels),
        )
    }
}

/// The moments of every slab, and what `emit` makes of them all; `bindings` is what it binds, from 1 on.
pub(super) fn launch_moments(
    g: &Geometry,
    eps: f32,
    emit: &'static str,
    bindings: &[Binding],
) -> Launch {
    let n_partials = g.n_slabs * g.channels;
    let slabs = Launch::default().with_scratch(2 * n_partials).then(
        g.shader("batch_norm/moments_slabs"),
        &[Binding::Input(0), Binding::Scratch(0)],
        grid(n_partials),
    );
    let finish = |shader: Shader| shader.import("emit", emit).constant("EPS", eps);
    g.merge_slabs(slabs, "batch_norm/moments", finish, bindings)
}

impl Reference for BatchNorm {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = geometry(&args.io);
        let (x, gamma, beta) =
            (args.inputs[0].real(), args.inputs[1].real(), args.inputs[2].real());
        let [y, mean, variance, inv_std] = args.outputs else {
            panic!("batch_norm has four outputs")
        };
        let (mean, variance, inv_std) = (mean.real(), variance.real(), inv_std.real());
        batch_statistics(&g, self.eps, x, mean, variance, inv_std);
        normalise(x, mean, inv_std, gamma, beta, y.real());
    }
}

/// The mean of every channel, its unbiased variance, and `1/√(var + eps)` of the biased one.
pub(super) fn batch_statistics<T: Real>(
    g: &Geometry,
    eps: f32,
    x: &[T],
    mean: &mut [T],
    variance: &mut [T],
    inv_std: &mut [T],
) {
    let m2 = moments(g, x, mean);
    let n = T::from_count(g.rows);
    for (c, &m2) in m2.iter().enumerate() {
        variance[c] = m2 / (n - T::ONE);
        inv_std[c] = T::ONE / (m2 / n + T::from_f32(eps)).sqrt();
    }
}

/// `y = (x − mean) · inv_std · gamma + beta`, row by row.
pub(super) fn normalise<T: Real>(
    x: &[T],
    mean: &[T],
    inv_std: &[T],
    gamma: &[T],
    beta: &[T],
    y: &mut [T],
) {
    let channels = mean.len();
    let chunk = (CHUNK / channels).max(1) * channels;
    y.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(y, x)| {
        for (y, x) in y.chunks_mut(channels).zip(x.chunks(channels)) {
            for c in 0..channels {
                y[c] = x_hat(x[c], mean[c], inv_std[c]) * gamma[c] + beta[c];
            }
        }
    });
}

/// The mean of every channel, and the sum of squared deviations from it: two passes over each slab,
/// then the slabs merged in order (Chan, Golub and LeVeque 1979).
fn moments<T: Real>(g: &Geometry, x: &[T], mean: &mut [T]) -> Vec<T> {
    let slab = g.rows_per_slab * g.channels;
    let partials: Vec<_> = x.par_chunks(slab).map(|x| slab_moments(x, g.channels)).collect();
    let mut m2 = vec![T::ZERO; g.channels];
    mean.fill(T::ZERO);
    let mut n = T::ZERO;
    for (n_slab, slab_mean, slab_m2) in partials {
        let n_both = n + n_slab;
        for c in 0..g.channels {
            let delta = slab_mean[c] - mean[c];
            mean[c] += delta * (n_slab / n_both);
            m2[c] += slab_m2[c] + delta * delta * (n * n_slab / n_both);
        }
        n = n_both;
    }
    m2
}

fn slab_moments<T: Real>(x: &[T], channels: usize) -> (T, Vec<T>, Vec<T>) {
    let n = T::from_count(x.len() / channels);
    let (mut mean, mut m2) = (vec![T::ZERO; channels], vec![T::ZERO; channels]);
    let shift = &x[..channels];
    for row in x.chunks(channels) {
        for c in 0..channels {
            mean[c] += row[c] - shift[c];
        }
    }
    for c in 0..channels {
        mean[c] = shift[c] + mean[c] / n;
    }
    for row in x.chunks(channels) {
        for c in 0..channels {
            let deviation = row[c] - mean[c];
            m2[c] += deviation * deviation;
        }
    }
    (n, mean, m2)
}
