//! Batch norm in training: computes mean and variance of the batch, and normalises the batch with them.

use std::array::from_fn;
use std::ops::Range;

use super::backward::{BatchNormDInput, BatchNormDParameters};
use super::{BatchNormGeometry, attributes, x_hat};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::ops::mean_m2;
use crate::ops::partitions::Partitions;
use crate::tape::{
    Args, Node, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId,
};

/// The values on the tape that [`batch_norm`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Normalised {
    /// The normalised batch, of x's shape.
    pub y: ValueId,
    /// The mean of the batch, `[C]`.
    pub mean: ValueId,
    /// The unbiased variance of the batch, `[C]`, for the running variance.
    pub unbiased_variance: ValueId,
}

/// Records batch norm with the statistics of the batch.
///
/// # Panics
/// If gamma or beta is not `[C]`, or x has only one value per channel.
pub fn batch_norm(
    tape: &mut Tape,
    x: ValueId,
    gamma: ValueId,
    beta: ValueId,
    eps: f32,
) -> Normalised {
    let outputs = tape.push(BatchNorm { eps, mean_m2: None }, &[x, gamma, beta]);
    Normalised { y: outputs[0], mean: outputs[1], unbiased_variance: outputs[2] }
}

/// The forward node: `x, gamma, beta[, mean_m2] -> y, mean, unbiased_variance, inv_std`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// The number that is added to the variance.
    pub eps: f32,
    /// The partitions of x, if their mean and M2 are the last input, `[partitions, 2, C]`; `None` if the node itself
    /// computes mean and M2.
    pub mean_m2: Option<Partitions>,
}

/// Returns the geometry of a node. `shape` returns the shape of the input with a given index; `last` is the index of
/// the last input.
///
/// # Panics
/// If gamma or beta is not `[C]`, if x has only one value per channel, or if the shape of mean_m2 does not fit the
/// partitions.
fn geometry<'a>(
    shape: impl Fn(usize) -> &'a [usize],
    last: usize,
    mean_m2: Option<Partitions>,
) -> BatchNormGeometry {
    let x = shape(0);
    let g = BatchNormGeometry::new(x, &[shape(1), shape(2)]);
    assert!(
        g.rows() > 1,
        "batch_norm: x is {x:?}, but training needs more than one value per channel"
    );
    let Some(partitions) = mean_m2 else { return g };
    assert_eq!(partitions.n_rows, g.rows(), "batch_norm: the partitions of {x:?}");
    let expected = mean_m2::shape(partitions, g.channels);
    assert_eq!(shape(last), expected, "batch_norm: the shape of mean_m2 for {x:?}");
    BatchNormGeometry { partitions, ..g }
}

/// Returns the geometry of a recorded node; see [`geometry`].
pub(super) fn geometry_of(io: &NodeIo<'_>, mean_m2: Option<Partitions>) -> BatchNormGeometry {
    geometry(|ix| io.input_shape(ix), io.n_inputs() - 1, mean_m2)
}

/// Returns the geometry of a node with these inputs; see [`geometry`].
pub(super) fn geometry_from(inputs: &[&Value], mean_m2: Option<Partitions>) -> BatchNormGeometry {
    geometry(|ix| &inputs[ix].shape, inputs.len() - 1, mean_m2)
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm.forward"
    }

    fn attributes(&self) -> String {
        attributes(self.eps, self.mean_m2)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let g = geometry_from(inputs, self.mean_m2);
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
        // The input mean_m2 gets no gradient, because d_x already includes the effect of x on mean and variance.
        d_inputs.resize(node.inputs.len(), None);
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        (mean_m2_flops(self.mean_m2) + 4) * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = geometry_of(io, self.mean_m2);
        let (input, output) = (Binding::Input, Binding::Output);
        let statistics = [output(1), output(2), output(3)];
        let given = self.mean_m2.map(|_| input(io.n_inputs() - 1));
        launch_statistics(&g, given, self.eps, "batch_norm/emit_inv_std", &statistics).then(
            g.shader("batch_norm/forward"),
            &[input(0), input(1), input(2), output(1), output(3), output(0)],
            grid(g.rows() * g.channels),
        )
    }
}

/// Returns the dispatches that compute mean and M2 of every partition and merge them. If `given` is the buffer of an
/// input with mean and M2 of every partition, the dispatches only merge. The shader import `emit` stores the results in
/// `bindings`.
pub(super) fn launch_statistics(
    g: &BatchNormGeometry,
    given: Option<Binding>,
    eps: f32,
    emit: &'static str,
    bindings: &[Binding],
) -> Launch {
    let mut launch = Launch::default();
    let mean_m2 = given.unwrap_or(Binding::Scratch(0));
    if given.is_none() {
        launch = launch.with_scratch(g.n_partials());
        launch = mean_m2::launch(launch, g.partitions, g.channels, Binding::Input(0), mean_m2);
    }
    let finish = |shader: Shader| shader.import("emit", emit).constant("EPS", eps);
    g.merge_partitions(launch, mean_m2, "batch_norm/merge_mean_m2", finish, bindings)
}

/// Returns the number of additions and multiplications per element of x for mean and M2: 1 for the mean, 3 for the
/// squared deviation; 0 if mean and M2 are an input.
pub(super) fn mean_m2_flops(mean_m2: Option<Partitions>) -> u64 {
    if mean_m2.is_some() { 0 } else { 4 }
}

impl Reference for BatchNorm {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        statistics_scratch(&geometry_of(io, self.mean_m2), self.mean_m2)
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = geometry_of(&args.io, self.mean_m2);
        let (x, gamma, beta) =
            (args.inputs[0].real(), args.inputs[1].real(), args.inputs[2].real());
        let [y, mean, variance, inv_std] = args.outputs else {
            panic!("batch_norm has four outputs")
        };
        let (mean, variance, inv_std) = (mean.real(), variance.real(), inv_std.real());
        let given = self.mean_m2.map(|_| args.inputs[args.inputs.len() - 1].real());
        let (mean_m2, scratch) = mean_m2_of(&g, x, given, args.scratch.shared);
        batch_statistics(g, self.eps, mean_m2, scratch, mean, variance, inv_std);
        normalise(x, mean, inv_std, gamma, beta, y.real(), &|_, _| {});
    }
}

/// Returns the size of the scratch memory of [`mean_m2_of`] and [`batch_statistics`].
pub(super) fn statistics_scratch(
    g: &BatchNormGeometry,
    mean_m2: Option<Partitions>,
) -> ScratchSize {
    let own = if mean_m2.is_none() { g.n_partials() } else { 0 };
    ScratchSize::shared(own + mean_m2::merge_scratch(g.partitions, g.channels))
}

/// Returns mean and M2 of the partitions of x, `[partitions, 2, C]`, and the unused part of `scratch`. If `given` is
/// `None`, the function computes mean and M2 in `scratch`; otherwise it returns `given`.
pub(super) fn mean_m2_of<'a, T: Real>(
    g: &BatchNormGeometry,
    x: &[T],
    given: Option<&'a [T]>,
    scratch: &'a mut [T],
) -> (&'a [T], &'a mut [T]) {
    if let Some(given) = given {
        return (given, scratch);
    }
    let (mean_m2, rest) = scratch.split_at_mut(g.n_partials());
    mean_m2::of_partitions(x, g.partitions, g.channels, mean_m2);
    (mean_m2, rest)
}

/// Computes for every channel the mean, the unbiased variance, and `1/√(var + eps)` with the biased variance, from mean
/// and M2 of the partitions. This function is the CPU reference of `shaders/batch_norm/statistics.wgsl`.
pub(super) fn batch_statistics<T: Real>(
    g: BatchNormGeometry,
    eps: f32,
    mean_m2: &[T],
    scratch: &mut [T],
    mean: &mut [T],
    variance: &mut [T],
    inv_std: &mut [T],
) {
    mean_m2::merge(g.partitions, mean_m2, scratch, mean, variance);
    let n = T::from_count(g.rows());
    for (variance, inv_std) in variance.iter_mut().zip(inv_std) {
        let m2 = *variance;
        *variance = m2 / (n - T::ONE);
        *inv_std = T::ONE / (m2 / n + T::from_f32(eps)).sqrt();
    }
}

/// Computes `y = (x − mean) · inv_std · gamma + beta`, some rows at a time. Then calls `finish` with the index of the
/// first of these elements and the elements of y.
pub(super) fn normalise<T: Real>(
    x: &[T],
    mean: &[T],
    inv_std: &[T],
    gamma: &[T],
    beta: &[T],
    y: &mut [T],
    finish: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    let channels = mean.len();
    let size = (CHUNK / channels).max(1) * channels;
    for_each_chunk(y, size, &|ix, y| {
        let x = chunk(x, ix, size);
        normalise_channels::<T, LANES>(whole(channels), x, mean, inv_std, gamma, beta, y);
        normalise_channels::<T, 1>(rest(channels), x, mean, inv_std, gamma, beta, y);
        finish(ix * size, y);
    });
}

/// Computes [`normalise`] for some channels of some rows, `L` channels at a time.
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
