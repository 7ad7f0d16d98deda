//! The gradient of batch norm. The first node computes two sums over the rows, which are the gradients of gamma and
//! beta. The second node reads these sums and computes the gradient of the input.

use std::array::from_fn;
use std::ops::Range;

use super::{BatchNormGeometry, x_hat};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::ops::partitions::{n_partials, sum_rows};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, ScratchSize, Value};

/// The gradients of gamma and beta: `x, d_y, mean, inv_std -> d_gamma, d_beta`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormDParameters;

/// Checks that the gradient of y has the shape of x.
pub(super) fn check_d_y(x: &[usize], d_y: &[usize]) {
    assert_eq!(x, d_y, "batch_norm: x is {x:?}, the gradient of y {d_y:?}");
}

impl Op for BatchNormDParameters {
    fn name(&self) -> &'static str {
        "batch_norm.d_parameters"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        check_d_y(&inputs[0].shape, &inputs[1].shape);
        let g = BatchNormGeometry::new(&inputs[0].shape, &[&inputs[2].shape, &inputs[3].shape]);
        let per_channel = |name| OutputSpec::real(name, &[g.channels]);
        vec![per_channel("norm.d_gamma"), per_channel("norm.d_beta")]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        5 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = BatchNormGeometry::new(io.input_shape(0), &[]);
        let inputs: Vec<_> = (0..4).map(Binding::Input).collect();
        launch_sums(&g, "batch_norm/gradient_plain", &inputs)
    }
}

/// Returns the dispatches that compute d_gamma and d_beta: the partial sums of each partition, and then their totals.
/// The shader import `gradient` computes the terms of the sums.
pub(super) fn launch_sums(
    g: &BatchNormGeometry,
    gradient: &'static str,
    inputs: &[Binding],
) -> Launch {
    let partials = Binding::Scratch(0);
    let bindings: Vec<_> = inputs.iter().copied().chain([partials]).collect();
    let launch = Launch::default().with_scratch(g.n_partials()).then(
        Shader::new("batch_norm/backward_partials").import("gradient", gradient),
        &g.with_partitions(&bindings),
        grid(g.partitions.count() * g.channels),
    );
    let finish = |shader: Shader| shader.import("emit", "batch_norm/emit_gradients");
    let gradients = [Binding::Output(0), Binding::Output(1)];
    g.merge_partitions(launch, partials, "batch_norm/backward_sums", finish, &gradients)
}

/// Returns the size of the scratch memory for d_gamma and d_beta in the CPU references: two totals per channel, and the
/// partial sums of all partitions.
pub(super) fn sums_scratch(g: &BatchNormGeometry) -> ScratchSize {
    let n_sums = 2 * g.channels;
    ScratchSize::shared(n_sums + n_partials(g.rows(), n_sums))
}

impl Reference for BatchNormDParameters {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        sums_scratch(&BatchNormGeometry::new(io.input_shape(0), &[]))
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, d_y, mean, inv_std] = args.inputs else { panic!("four inputs") };
        let (x, d_y, mean, inv_std) = (x.real(), d_y.real(), mean.real(), inv_std.real());
        let channels = mean.len();
        // One pass over x computes both sums: d_gamma is the first half of `totals`, and d_beta is the second half.
        let (totals, partials) = args.scratch.shared.split_at_mut(2 * channels);
        sum_rows(x.len() / channels, totals, partials, &|rows, sums| {
            let rows = rows.start * channels..rows.end * channels;
            sum_terms(&x[rows.clone()], &d_y[rows], mean, inv_std, sums);
        });
        let [d_gamma, d_beta] = args.outputs else { panic!("two outputs") };
        d_gamma.real().copy_from_slice(&totals[..channels]);
        d_beta.real().copy_from_slice(&totals[channels..]);
    }
}

/// Adds the terms of d_gamma and d_beta in some rows to `sums`, for all channels.
pub(super) fn sum_terms<T: Real>(x: &[T], d_y: &[T], mean: &[T], inv_std: &[T], sums: &mut [T]) {
    let channels = mean.len();
    sum_channels::<T, LANES>(whole(channels), x, d_y, mean, inv_std, sums);
    sum_channels::<T, 1>(rest(channels), x, d_y, mean, inv_std, sums);
}

/// Adds the terms of d_gamma and d_beta in some rows to `sums`, for some channels, `L` channels at a time.
fn sum_channels<T: Real, const L: usize>(
    channels: Range<usize>,
    x: &[T],
    d_y: &[T],
    mean: &[T],
    inv_std: &[T],
    sums: &mut [T],
) {
    let n_channels = mean.len();
    for c in channels.step_by(L) {
        let (mean, inv_std): ([T; L], [T; L]) = (lanes(mean, c), lanes(inv_std, c));
        let (mut d_gamma, mut d_beta): ([T; L], [T; L]) =
            (lanes(sums, c), lanes(sums, n_channels + c));
        for at in (c..x.len()).step_by(n_channels) {
            let (x, d_y): ([T; L], [T; L]) = (lanes(x, at), lanes(d_y, at));
            for i in 0..L {
                d_gamma[i] += d_y[i] * x_hat(x[i], mean[i], inv_std[i]);
                d_beta[i] += d_y[i];
            }
        }
        store(sums, c, d_gamma);
        store(sums, n_channels + c, d_beta);
    }
}

/// The gradient of the input: `x, d_y, mean, inv_std, gamma, d_gamma, d_beta -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormDInput;

impl Op for BatchNormDInput {
    fn name(&self) -> &'static str {
        "batch_norm.d_input"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        check_d_y(&inputs[0].shape, &inputs[1].shape);
        let per_channel: Vec<_> = inputs[2..].iter().map(|v| v.shape.as_slice()).collect();
        BatchNormGeometry::new(&inputs[0].shape, &per_channel);
        vec![OutputSpec::real("norm.d_input", &inputs[0].shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        6 * io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let g = BatchNormGeometry::new(io.input_shape(0), &[]);
        let mut bindings: Vec<_> = (0..7).map(Binding::Input).collect();
        bindings.push(Binding::Output(0));
        Launch::one(g.shader("batch_norm/d_input"), &bindings, grid(g.rows() * g.channels))
    }
}

impl Reference for BatchNormDInput {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [x, d_y, mean, inv_std, gamma, d_gamma, d_beta] = args.inputs else {
            panic!("seven inputs")
        };
        let per_channel =
            [mean, inv_std, gamma, d_gamma, d_beta].map(|per_channel| per_channel.real());
        let (channels, x, d_y) = (gamma.real().len(), x.real(), d_y.real());
        let n = T::from_count(x.len() / channels);
        let size = (CHUNK / channels).max(1) * channels;
        for_each_chunk(args.outputs[0].real(), size, &|ix, d_x| {
            let (x, d_y) = (chunk(x, ix, size), chunk(d_y, ix, size));
            d_input_channels::<T, LANES>(whole(channels), x, d_y, per_channel, n, d_x);
            d_input_channels::<T, 1>(rest(channels), x, d_y, per_channel, n, d_x);
        });
    }
}

/// Computes the gradient of the input in some rows for some channels, `L` channels at a time.
fn d_input_channels<T: Real, const L: usize>(
    channels: Range<usize>,
    x: &[T],
    d_y: &[T],
    per_channel: [&[T]; 5],
    n: T,
    d_x: &mut [T],
) {
    let n_channels = per_channel[0].len();
    for c in channels.step_by(L) {
        let [mean, inv_std, gamma, d_gamma, d_beta]: [[T; L]; 5] =
            per_channel.map(|values| lanes(values, c));
        let scale: [T; L] = from_fn(|i| gamma[i] * inv_std[i]);
        let (mean_d_y, slope): ([T; L], [T; L]) =
            (from_fn(|i| d_beta[i] / n), from_fn(|i| d_gamma[i] / n));
        for at in (c..x.len()).step_by(n_channels) {
            let (x, d_y): ([T; L], [T; L]) = (lanes(x, at), lanes(d_y, at));
            let d_x_of = |i: usize| {
                let stretched = x_hat(x[i], mean[i], inv_std[i]) * slope[i];
                scale[i] * (d_y[i] - mean_d_y[i] - stretched)
            };
            store(d_x, at, from_fn::<_, L, _>(d_x_of));
        }
    }
}
