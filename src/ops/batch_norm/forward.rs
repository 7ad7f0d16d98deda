//! Batch norm in training: the moments of the batch, and the batch normalised with them.

use std::array::from_fn;
use std::ops::Range;

use rayon::prelude::*;

use super::backward::{BatchNormDInput, BatchNormDParameters};
use super::{Geometry, x_hat};
use crate::device::cpu::CHUNK;
use crate::device::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::ops::{
    Args, Binding, Launch, Op, OutputSpec, Real, Reference, ScratchSize, Shader, Target, grid,
};
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
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        statistics_scratch(&geometry(io))
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = geometry(&args.io);
        let (x, gamma, beta) =
            (args.inputs[0].real(), args.inputs[1].real(), args.inputs[2].real());
        let [y, mean, variance, inv_std] = args.outputs else {
            panic!("batch_norm has four outputs")
        };
        let (mean, variance, inv_std) = (mean.real(), variance.real(), inv_std.real());
        batch_statistics(&g, self.eps, x, mean, variance, inv_std, args.scratch.shared);
        normalise(x, mean, inv_std, gamma, beta, y.real());
    }
}

/// The memory that [`batch_statistics`] works in.
pub(super) fn statistics_scratch(g: &Geometry) -> ScratchSize {
    ScratchSize::shared(g.n_slabs * 2 * g.channels)
}

/// The mean of every channel, its unbiased variance, and `1/√(var + eps)` of the biased one.
pub(super) fn batch_statistics<T: Real>(
    g: &Geometry,
    eps: f32,
    x: &[T],
    mean: &mut [T],
    variance: &mut [T],
    inv_std: &mut [T],
    partials: &mut [T],
) {
    moments(g, x, mean, variance, partials);
    let n = T::from_count(g.rows);
    for (variance, inv_std) in variance.iter_mut().zip(inv_std) {
        let m2 = *variance;
        *variance = m2 / (n - T::ONE);
        *inv_std = T::ONE / (m2 / n + T::from_f32(eps)).sqrt();
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
        normalise_channels::<T, LANES>(whole(channels), x, mean, inv_std, gamma, beta, y);
        normalise_channels::<T, 1>(rest(channels), x, mean, inv_std, gamma, beta, y);
    });
}

/// [`normalise`] for some channels of some rows, `L` at a time.
fn normalise_channels<T: Real, const L: usize>(
    channels: Range<usize>,
    x: &[T],
    mean: &[T],
    inv_std: &[T],
    gamma: &[T],
    beta: &[T],
    y: &mut [T],
) {
    let n_channels = mean.len();
    for c in channels.step_by(L) {
        let (mean, inv_std): ([T; L], [T; L]) = (lanes(mean, c), lanes(inv_std, c));
        let (gamma, beta): ([T; L], [T; L]) = (lanes(gamma, c), lanes(beta, c));
        for at in (c..x.len()).step_by(n_channels) {
            let x: [T; L] = lanes(x, at);
            let y_of = |i: usize| x_hat(x[i], mean[i], inv_std[i]) * gamma[i] + beta[i];
            store(y, at, from_fn::<_, L, _>(y_of));
        }
    }
}

/// The mean of every channel, and the sum of squared deviations from it: two passes over each slab,
/// then the slabs merged in order (Chan, Golub and LeVeque 1979). The slabs' own are in `partials`.
fn moments<T: Real>(g: &Geometry, x: &[T], mean: &mut [T], m2: &mut [T], partials: &mut [T]) {
    let slab = g.rows_per_slab * g.channels;
    let partials = &mut partials[..g.n_slabs * 2 * g.channels];
    let slabs = x.par_chunks(slab).zip(partials.par_chunks_mut(2 * g.channels));
    slabs.for_each(|(x, partial)| {
        let (mean, m2) = partial.split_at_mut(g.channels);
        slab_moments::<T, LANES>(whole(g.channels), x, mean, m2);
        slab_moments::<T, 1>(rest(g.channels), x, mean, m2);
    });
    mean.fill(T::ZERO);
    m2.fill(T::ZERO);
    let mut n = T::ZERO;
    for (x, partial) in x.chunks(slab).zip(partials.chunks(2 * g.channels)) {
        let (slab_mean, slab_m2) = partial.split_at(g.channels);
        let n_slab = T::from_count(x.len() / g.channels);
        let n_both = n + n_slab;
        for c in 0..g.channels {
            let delta = slab_mean[c] - mean[c];
            mean[c] += delta * (n_slab / n_both);
            m2[c] += slab_m2[c] + delta * delta * (n * n_slab / n_both);
        }
        n = n_both;
    }
}

/// The moments of some channels of a slab, `L` at a time.
fn slab_moments<T: Real, const L: usize>(
    channels: Range<usize>,
    x: &[T],
    mean: &mut [T],
    m2: &mut [T],
) {
    let n_channels = mean.len();
    let n = T::from_count(x.len() / n_channels);
    for c in channels.step_by(L) {
        let rows = (c..x.len()).step_by(n_channels);
        let shift: [T; L] = lanes(x, c);
        let mut sum = [T::ZERO; L];
        for at in rows.clone() {
            let x: [T; L] = lanes(x, at);
            (0..L).for_each(|i| sum[i] += x[i] - shift[i]);
        }
        let slab_mean: [T; L] = from_fn(|i| shift[i] + sum[i] / n);
        let mut squares = [T::ZERO; L];
        for at in rows {
            let x: [T; L] = lanes(x, at);
            for i in 0..L {
                let deviation = x[i] - slab_mean[i];
                squares[i] += deviation * deviation;
            }
        }
        store(mean, c, slab_mean);
        store(m2, c, squares);
    }
}
