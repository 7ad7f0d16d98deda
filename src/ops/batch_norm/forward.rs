//! Batch norm in training: the moments of the batch, and the batch normalised with them.

use std::array::from_fn;
use std::iter::successors;
use std::ops::Range;

use rayon::prelude::*;

use super::backward::{BatchNormDInput, BatchNormDParameters};
use super::{Geometry, SLABS_PER_GROUP, attributes, moments_of_slabs, x_hat};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, Node, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId,
};

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
    let outputs = tape.push(BatchNorm { eps, rows_per_slab: None }, &[x, gamma, beta]);
    Normalised { y: outputs[0], mean: outputs[1], unbiased_variance: outputs[2] }
}

/// `x, gamma, beta[, moments] -> y, mean, unbiased_variance, inv_std`
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Where x came with the moments of its slabs, `[slabs, 2, C]`, the rows of a slab. They are the last input.
    pub rows_per_slab: Option<usize>,
}

/// The geometry of what a node reads, of which `shape` tells the shapes, by number; `last` is the last one's.
///
/// # Panics
/// When gamma or beta is not `[C]`, there is only one value a channel, or the moments have another shape.
fn geometry<'a>(
    shape: impl Fn(usize) -> &'a [usize],
    last: usize,
    rows_per_slab: Option<usize>,
) -> Geometry {
    let x = shape(0);
    let g = Geometry::new(x, &[shape(1), shape(2)]);
    assert!(g.rows > 1, "batch_norm: {x:?} does not have more than one value a channel");
    let Some(rows_per_slab) = rows_per_slab else { return g };
    let g = g.with_slabs_of(rows_per_slab);
    assert_eq!(shape(last), [g.n_slabs, 2, g.channels], "batch_norm: the moments of {x:?}");
    g
}

/// [`geometry`] of a node.
pub(super) fn geometry_of(io: &NodeIo<'_>, rows_per_slab: Option<usize>) -> Geometry {
    geometry(|ix| io.input_shape(ix), io.n_inputs() - 1, rows_per_slab)
}

/// [`geometry`] of a node to be.
pub(super) fn geometry_from(inputs: &[&Value], rows_per_slab: Option<usize>) -> Geometry {
    geometry(|ix| &inputs[ix].shape, inputs.len() - 1, rows_per_slab)
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm.forward"
    }

    fn attributes(&self) -> String {
        attributes(self.eps, self.rows_per_slab)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let g = geometry_from(inputs, self.rows_per_slab);
        let per_channel = |name| OutputSpec::real(name, &[g.channels]);
        vec![
            OutputSpec::real("norm", &inputs[0].shape),
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
        let mut d_inputs = vec![d_x, Some(d_gamma), Some(d_beta)];
        // What x does by way of its moments is in its gradient already.
        d_inputs.resize(node.inputs.len(), None);
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        (moments_flops(self.rows_per_slab) + 4) * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = geometry_of(io, self.rows_per_slab);
        let (input, output) = (Binding::Input, Binding::Output);
        let statistics = [output(1), output(2), output(3)];
        let given = self.rows_per_slab.map(|_| input(io.n_inputs() - 1));
        launch_moments(&g, given, self.eps, "batch_norm/emit_inv_std", &statistics).then(
            g.shader("batch_norm/forward"),
            &[input(0), input(1), input(2), output(1), output(3), output(0)],
            grid(g.rows * g.channels),
        )
    }
}

/// The moments of every slab, where they are not given, and what `emit` makes of them all; `bindings` is what it binds,
/// from 1 on.
pub(super) fn launch_moments(
    g: &Geometry,
    given: Option<Binding>,
    eps: f32,
    emit: &'static str,
    bindings: &[Binding],
) -> Launch {
    let mut launch = Launch::default();
    let slabs = given.unwrap_or(Binding::Scratch(0));
    if given.is_none() {
        let shape = [g.rows, g.channels];
        launch = launch.with_scratch(g.n_partials());
        launch = moments_of_slabs(launch, &shape, g.rows_per_slab, Binding::Input(0), slabs);
    }
    let finish = |shader: Shader| shader.import("emit", emit).constant("EPS", eps);
    g.merge_slabs(launch, slabs, "batch_norm/moments", finish, bindings)
}

/// Additions and multiplications that the moments of a value take: the mean 1, deviations 3.
pub(super) fn moments_flops(rows_per_slab: Option<usize>) -> u64 {
    if rows_per_slab.is_some() { 0 } else { 4 }
}

impl Reference for BatchNorm {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        statistics_scratch(&geometry_of(io, self.rows_per_slab), self.rows_per_slab)
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = geometry_of(&args.io, self.rows_per_slab);
        let (x, gamma, beta) =
            (args.inputs[0].real(), args.inputs[1].real(), args.inputs[2].real());
        let [y, mean, variance, inv_std] = args.outputs else {
            panic!("batch_norm has four outputs")
        };
        let (mean, variance, inv_std) = (mean.real(), variance.real(), inv_std.real());
        let given = self.rows_per_slab.map(|_| args.inputs[args.inputs.len() - 1].real());
        let (slabs, groups) = slabs_of(&g, x, given, args.scratch.shared);
        batch_statistics(g, self.eps, slabs, groups, mean, variance, inv_std);
        normalise(x, mean, inv_std, gamma, beta, y.real());
    }
}

/// The memory that [`slabs_of`] and [`batch_statistics`] work in.
pub(super) fn statistics_scratch(g: &Geometry, rows_per_slab: Option<usize>) -> ScratchSize {
    let of_slabs = if rows_per_slab.is_none() { g.n_partials() } else { 0 };
    let groups = successors(g.groups(), |groups| groups.groups());
    ScratchSize::shared(of_slabs + groups.map(|groups| groups.n_partials()).sum::<usize>())
}

/// The moments of the slabs of x, `[slabs, 2, C]`: those that are given, or made in `scratch`; and what is left of it.
pub(super) fn slabs_of<'a, T: Real>(
    g: &Geometry,
    x: &[T],
    given: Option<&'a [T]>,
    scratch: &'a mut [T],
) -> (&'a [T], &'a mut [T]) {
    if let Some(given) = given {
        return (given, scratch);
    }
    let (moments, rest) = scratch.split_at_mut(g.n_partials());
    all_slab_moments(x, g.rows_per_slab, g.channels, moments);
    (moments, rest)
}

/// The moments of every slab of so many rows of x, `[slabs, 2, C]`.
pub(crate) fn all_slab_moments<T: Real>(
    x: &[T],
    rows_per_slab: usize,
    channels: usize,
    moments: &mut [T],
) {
    let slabs = x.par_chunks(rows_per_slab * channels);
    let made = slabs.zip(moments.par_chunks_mut(2 * channels));
    made.for_each(|(slab, moments)| slab_moments(slab, moments));
}

/// Of one slab of rows: the mean of every channel, and then the sums of squared deviations from it, `[2, C]`, in two
/// passes.
pub(crate) fn slab_moments<T: Real>(x: &[T], moments: &mut [T]) {
    let channels = moments.len() / 2;
    let (mean, m2) = moments.split_at_mut(channels);
    channel_moments::<T, LANES>(whole(channels), x, mean, m2);
    channel_moments::<T, 1>(rest(channels), x, mean, m2);
}

/// The mean of every channel, its unbiased variance, and `1/√(var + eps)` of the biased one, from the moments of
/// slabs. Groups of these are merged in `groups`.
pub(super) fn batch_statistics<T: Real>(
    g: Geometry,
    eps: f32,
    slabs: &[T],
    groups: &mut [T],
    mean: &mut [T],
    variance: &mut [T],
    inv_std: &mut [T],
) {
    merge_slabs(g, slabs, groups, mean, variance);
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

/// The mean of every channel, and the sum of squared deviations from it: those of the slabs, or, where these are many,
/// of groups of them, as on a GPU. One after the other thousands would wear the mean's last digits away.
fn merge_slabs<T: Real>(g: Geometry, slabs: &[T], scratch: &mut [T], mean: &mut [T], m2: &mut [T]) {
    let Some(groups) = g.groups() else { return merge_group(&g, 0, slabs, mean, m2) };
    let (made, scratch) = scratch.split_at_mut(groups.n_partials());
    let parts = slabs.par_chunks(SLABS_PER_GROUP * 2 * g.channels);
    parts.zip(made.par_chunks_mut(2 * g.channels)).enumerate().for_each(|(ix, (slabs, group))| {
        let (mean, m2) = group.split_at_mut(g.channels);
        merge_group(&g, ix * SLABS_PER_GROUP, slabs, mean, m2);
    });
    merge_slabs(groups, made, scratch, mean, m2);
}

/// The moments of some slabs together, of which the one of number `first` is the first, merged in their order (Chan,
/// Golub and LeVeque 1979).
fn merge_group<T: Real>(g: &Geometry, first: usize, slabs: &[T], mean: &mut [T], m2: &mut [T]) {
    let n_rows = |slab: usize| g.rows_per_slab.min(g.rows - slab * g.rows_per_slab);
    let (head, others) = slabs.split_at(2 * g.channels);
    mean.copy_from_slice(&head[..g.channels]);
    m2.copy_from_slice(&head[g.channels..]);
    let mut n = T::from_count(n_rows(first));
    for (ix, slab) in others.chunks(2 * g.channels).enumerate() {
        let (slab_mean, slab_m2) = slab.split_at(g.channels);
        let n_slab = T::from_count(n_rows(first + 1 + ix));
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
fn channel_moments<T: Real, const L: usize>(
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

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,024 slabs of two rows, 1,000 ± 1 and a little more in each slab than in the one before.
    #[test]
    fn many_slabs_keep_the_digits_of_a_large_mean() {
        let n_slabs = 1024;
        let g = Geometry::new(&[2 * n_slabs, 1], &[]).with_slabs_of(2);
        let deviation = |slab: usize| (slab as f64 / 512.0 - 1.0) * 0.5;
        let slabs: Vec<f32> =
            (0..n_slabs).flat_map(|slab| [(1000.0 + deviation(slab)) as f32, 2.0]).collect();
        let mut scratch = vec![0.0; statistics_scratch(&g, Some(2)).shared];
        let (mut mean, mut m2) = ([0.0], [0.0]);
        merge_slabs(g, &slabs, &mut scratch, &mut mean, &mut m2);
        let exact_mean = slabs.chunks(2).map(|s| f64::from(s[0])).sum::<f64>() / n_slabs as f64;
        let of_slab = |s: &[f32]| 2.0 + 2.0 * (f64::from(s[0]) - exact_mean).powi(2);
        let exact_m2 = slabs.chunks(2).map(of_slab).sum::<f64>();
        // A unit in the mean's last place is 6e-5.
        assert!((f64::from(mean[0]) - exact_mean).abs() < 1e-4, "{} {exact_mean}", mean[0]);
        assert!((f64::from(m2[0]) / exact_m2 - 1.0).abs() < 1e-5, "{} {exact_m2}", m2[0]);
    }
}
