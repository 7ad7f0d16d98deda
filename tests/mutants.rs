//! Tests of the tests: the comparison with the CPU must catch every shader that is broken on purpose. Every op has
//! several such shaders.
//!
//! A mutant is an edit of a shader's text. It is caught if the GPU's result of some case of the op no longer agrees
//! with the CPU's.

#[path = "mutants/augment.rs"]
mod augment;
mod common;
#[path = "mutants/conv2d.rs"]
mod conv2d;
#[path = "mutants/conv2d_groups.rs"]
mod conv2d_groups;
#[path = "common/variations.rs"]
mod variations;
#[path = "mutants/winograd.rs"]
mod winograd;

use std::collections::BTreeSet;

use variations::variations;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, DeviceError, OpenOptions};
use wgrad::kernel::{Kernels, Target, Tile};
use wgrad::measure::check::CaseTape;
use wgrad::ops;
use wgrad::passes::{Plan, PlanOptions};

/// A mutant: op, file below shaders/, text, replacement.
type Mutant = (&'static str, &'static str, &'static str, &'static str);

/// The set of kernels with which a mutant is tested.
#[derive(Clone, Copy)]
enum In {
    /// The naive kernels: one invocation computes one element.
    Naive,
    /// The adapter's default kernels.
    Default,
    /// The default kernels, with a separate dispatch for each member of a flat buffer.
    Segments,
    /// Matrix products in registers.
    Registers,
    /// Matrix products in registers, with reads shared by the invocations of a subgroup.
    Subgroup,
    /// Matrix products in tiles of 64 x 64 in workgroup memory.
    Square64,
    /// Matrix products in tiles of 128 x 128 in workgroup memory.
    Square128,
}

use In::{Default, Naive, Registers, Segments, Square64, Square128, Subgroup};

impl In {
    /// Returns the options of a device that runs this set of kernels.
    fn options(self) -> OpenOptions {
        let (tile, max_segment) = match self {
            Naive | Default => (None, None),
            Segments => (None, Some(256)),
            Registers => (Some(Tile::Registers), None),
            Subgroup => (Some(Tile::Subgroup), None),
            Square64 => (Some(Tile::Square64), None),
            Square128 => (Some(Tile::Square128), None),
        };
        let kernels = if let Naive = self { Kernels::Naive } else { Kernels::Default };
        OpenOptions { kernels, tile, max_segment, ..OpenOptions::default() }
    }

    /// Returns true if some kernel of a case includes a file, on a hardware or a software adapter.
    fn runs(self, check: &CaseTape, file: &str) -> bool {
        let OpenOptions { kernels, tile, max_segment, .. } = self.options();
        let library = ShaderLibrary::default();
        [false, true].into_iter().any(|is_software| {
            let min_subgroup_size = 8;
            let target =
                Some(Target { kernels, is_software, min_subgroup_size, max_segment, tile });
            let plan = Plan::new(&check.tape, PlanOptions { target, ..PlanOptions::default() });
            let mut dispatches = plan.launches.iter().flat_map(|launch| &launch.dispatches);
            dispatches.any(|dispatch| {
                let files = library.files(&dispatch.shader).expect("its files are there");
                files.iter().any(|used| used == file)
            })
        })
    }
}

/// The mutants of all ops except the augmentations and conv2d, whose mutants have files of their own.
const MUTANTS: &[(In, Mutant)] = &[
    (Default, ("adam", "adam/step", "+ WEIGHT_DECAY * p", "")),
    (Default, ("adam", "adam/step", "ONE_MINUS_BETA2 * g * g", "ONE_MINUS_BETA2 * g")),
    (Default, ("adam", "shared/optimizer", "!= 0.0", "!= control[NOT_FINITE]")),
    (Default, ("adam", "adam/step", "exp_avg[ix] = m;", "")),
    (Default, ("adam", "adam/step", "scalars.optimizer.z", "scalars.optimizer.w")),
    (
        Default,
        ("adam", "adam/step", "1.0 - LR_FACTOR * scalars.optimizer.w", "scalars.optimizer.z"),
    ),
    (Default, ("adam", "adam/step", "LR_FACTOR * scalars.optimizer.x", "scalars.optimizer.x")),
    (Default, ("adam", "adam/step", "if IS_DECOUPLED", "if !IS_DECOUPLED")),
    (Default, ("add", "add/forward", "a[ix] + b[ix]", "a[ix] + 0.5 * b[ix]")),
    (Default, ("add", "add/forward", "a[ix] + b[ix]", "a[ix] - b[ix]")),
    (Default, ("add", "add/forward", "+ b[ix]", "+ b[ix / 2u]")),
    (Default, ("avg_pool2d", "avg_pool2d/forward", "/ f32(KERNEL_H * KERNEL_W)", "")),
    (Default, ("avg_pool2d", "avg_pool2d/forward", "+ kx - PADDING_W", "+ kx")),
    (Default, ("avg_pool2d", "avg_pool2d/backward", "row % STRIDE_H == 0u &&", "")),
    (Default, ("avg_pool2d", "avg_pool2d/forward_uneven", "rows.divisor * columns", "columns")),
    (Default, ("avg_pool2d", "avg_pool2d/backward_uneven", "/ f32(divisor)", "")),
    (Default, ("avg_pool2d", "avg_pool2d/windows_sliding", ", extent + 2u * padding", ", ~0u")),
    (
        Default,
        ("avg_pool2d", "avg_pool2d/windows_sliding", "select(last - first", "select(end - start"),
    ),
    (Default, ("avg_pool2d", "avg_pool2d/windows_sliding", "/ stride + 1u", "/ stride")),
    (Default, ("avg_pool2d", "avg_pool2d/windows_sliding", "(max(padded + stride", "(max(padded")),
    (Default, ("avg_pool2d", "avg_pool2d/windows_adaptive", "+ n_from - 1u) /", ") /")),
    (Default, ("batch_norm", "batch_norm/forward", "+ beta[c]", "- beta[c]")),
    (Default, ("batch_norm", "batch_norm/statistics", "+ EPS", "+ 0.1")),
    (Default, ("batch_norm", "batch_norm/merge_mean_m2", "+ delta * delta * (n_a * n_b / n)", "")),
    (Default, ("batch_norm", "batch_norm/emit_partials", "merged[2u * group *", "merged[0u *")),
    (
        Default,
        ("batch_norm", "batch_norm/backward_sums", "ix / n_channels * PARTITIONS_PER_GROUP", "0u"),
    ),
    (Default, ("batch_norm", "batch_norm/statistics", "(n - 1.0)", "n")),
    (Default, ("batch_norm", "shared/mean_m2", "m2 += deviation * deviation", "m2 += deviation")),
    (Default, ("batch_norm", "batch_norm/backward_partials", "d_beta += d;", "d_beta = d;")),
    (Default, ("batch_norm", "batch_norm/d_input", "- d_beta[c] / n", "- d_beta[c]")),
    (Default, ("batch_norm", "batch_norm/d_input", "- x_hat * (d_gamma[c]", "- (d_gamma[c]")),
    (
        Default,
        ("batch_norm", "batch_norm/gradient_plain", "return d_y[ix];", "return 2.0 * d_y[ix];"),
    ),
    (Default, ("batch_norm", "batch_norm/emit_inv_std", "= store_", "= 2.0 * store_")),
    (Default, ("batch_norm", "batch_norm/eval", "* gamma[c]", "+ gamma[c]")),
    (Default, ("batch_norm", "batch_norm/eval", "+ EPS", "+ 1e-5")),
    (Default, ("batch_norm", "batch_norm/eval_d_input", "gamma[c] *", "0.5 * gamma[c] *")),
    (Default, ("batch_norm", "batch_norm/eval_d_input", "+ EPS", "+ 1e-5")),
    (Default, ("batch_norm", "batch_norm/add_relu_forward", "+ residual[ix]", "- residual[ix]")),
    (Default, ("batch_norm", "batch_norm/add_relu_forward", "sum <=", "sum - residual[ix] <=")),
    (Default, ("batch_norm", "batch_norm/add_relu_forward", "if IS_EVAL", "if !IS_EVAL")),
    (Default, ("batch_norm", "batch_norm/add_relu_forward", "+ EPS", "+ 1e-5")),
    (Default, ("batch_norm", "batch_norm/gradient_add_relu", "y[ix] > 0.0", "y[ix] >= 0.0")),
    (Default, ("batch_norm", "batch_norm/gradient_add_relu", "= d;", "= d_y[ix];")),
    (Default, ("batch_norm", "batch_norm/gradient_add_relu", "- mean[c]", "+ mean[c]")),
    (Default, ("batch_norm", "batch_norm/emit_bn_affine", "= gamma[channel]", "= gamma[0u]")),
    (Default, ("batch_norm", "batch_norm/emit_bn_affine", "= store_", "= 0.5 * store_")),
    (
        Default,
        ("batch_norm", "batch_norm/bn_affine4", "bn_affine[3u * GROUPS", "bn_affine[2u * GROUPS"),
    ),
    (Default, ("batch_norm", "batch_norm/relu_forward", "v <= vec4<f32>()", "v <= vec4<f32>(0.5)")),
    (Default, ("batch_norm", "batch_norm/relu_forward", "x_hat4(x[ix], group)", "x[ix]")),
    (Default, ("batch_norm", "batch_norm/relu_forward", "+ residual_at(ix)", "- residual_at(ix)")),
    (Default, ("batch_norm", "batch_norm/residual_some", "residual[ix]", "residual[ix / 2u]")),
    (Default, ("batch_norm", "batch_norm/gradient_relu", "v > 0.0", "v > -1.0")),
    (Default, ("batch_norm", "batch_norm/gradient_relu", "v > 0.0", "x_hat > 0.0")),
    (
        Default,
        (
            "batch_norm",
            "batch_norm/gradient_relu",
            "bn_affine[3u * n_channels",
            "bn_affine[2u * n_channels",
        ),
    ),
    (Default, ("batch_norm", "batch_norm/relu_d_input", "normalised4(x_hat, group) >", "x_hat >")),
    (Default, ("batch_norm", "batch_norm/relu_d_input", "- x_hat * (d_gamma", "- (d_gamma")),
    (Default, ("batch_norm", "batch_norm/relu_d_input", "bn_affine[2u * GROUPS + group] *", "")),
    (Default, ("blur_pool", "shared/mirrored", "last - abs(last - abs(at))", "min(abs(at), last)")),
    (Default, ("blur_pool", "blur_pool/source", " - 1, extent", ", extent")),
    (Default, ("blur_pool", "blur_pool/forward", "2.0 * middle", "middle")),
    (Default, ("blur_pool", "blur_pool/backward", "sum += select", "sum = select")),
    (Default, ("blur_pool", "blur_pool/backward", "(at.z + 1u) / 2u + 1u", "at.z / 2u + 1u")),
    (Default, ("channel_pad", "channel_pad/forward", " - before;", " - min(before, 0u);")),
    (Default, ("channel_pad", "channel_pad/forward", "c < X_CHANNELS", "c <= X_CHANNELS")),
    (Default, ("channel_slice", "channel_slice/forward", "first + ", "min(first, 0u) + ")),
    (Default, ("channel_slice", "channel_slice/forward", "* X_CHANNELS", "* CHANNELS")),
    (Default, ("channel_slice", "channel_pad/forward", " - before;", " - min(before, 0u);")),
    (Default, ("channel_sum", "channel_sum/partials", "var row = first;", "var row = first + 1u;")),
    (Default, ("channel_sum", "channel_sum/partials", "sum += x", "sum = x")),
    (
        Default,
        ("channel_sum", "shared/sum_partials", "partial < n_partials", "partial + 1u < n_partials"),
    ),
    (
        Default,
        ("clip_grad_norm", "clip_grad_norm/partials", "ix += N_PARTIALS", "ix += 2u * N_PARTIALS"),
    ),
    (Segments, ("clip_grad_norm", "clip_grad_norm/partials", "START > 0u", "START > 64u")),
    (Segments, ("clip_grad_norm", "clip_grad_norm/partials", "sum = partials[partial];", "")),
    (Default, ("clip_grad_norm", "clip_grad_norm/norm", "i < 64u", "i < 63u")),
    (Default, ("clip_grad_norm", "clip_grad_norm/norm", "sqrt(total)", "total")),
    (Default, ("clip_grad_norm", "clip_grad_norm/clip", "coefficient < 1.0 &&", "")),
    (
        Default,
        ("clip_grad_norm", "clip_grad_norm/clip", "NOT_FINITE] == 0.0", "NOT_FINITE] >= 0.0"),
    ),
    (Default, ("concat", "concat/forward", "+ first", "+ min(first, 0u)")),
    (Default, ("concat", "concat/forward", "* Y_CHANNELS", "* X_CHANNELS")),
    (Default, ("concat", "channel_slice/forward", "first + ", "min(first, 0u) + ")),
    (Default, ("cross_entropy", "cross_entropy/rows", "- largest);", ");")),
    (Default, ("cross_entropy", "cross_entropy/rows", "+ SMOOTHING / f32(CLASSES)", "")),
    (Default, ("cross_entropy", "cross_entropy/rows", "p * total", "p")),
    (Default, ("cross_entropy", "cross_entropy/rows", "scaled_loss(loss), counts", "loss, true")),
    (Default, ("cross_entropy", "cross_entropy/weights_none", "term / f32(ROWS)", "term")),
    (Default, ("cross_entropy", "cross_entropy/weights_some", "(1.0 - SMOOTHING) *", "1.0 *")),
    (Default, ("cross_entropy", "cross_entropy/weights_some", "* f32(ROWS)", "")),
    (Default, ("cross_entropy", "cross_entropy/weight_sums", "labels[row] < CLASSES", "row < 3u")),
    (Default, ("cross_entropy", "cross_entropy/weight_sums", "row += 64u", "row += 65u")),
    (Default, ("cross_entropy", "cross_entropy/weight_sums", "k += 64u", "k += 65u")),
    (Default, ("cross_entropy", "cross_entropy/mean", "workgroupBarrier();", "")),
    (Default, ("dropout", "dropout/apply", "random >= vec4", "random < vec4")),
    (
        Default,
        ("dropout", "dropout/apply", "scalars.epoch, stream", "scalars.epoch, min(stream, 2u)"),
    ),
    (Default, ("dropout", "dropout/apply", "stream, group)", "stream, ix)")),
    (Default, ("dropout", "dropout/apply", "image_numbers[image]", "image_numbers[0u]")),
    (Default, ("dropout", "dropout/apply", "vec4<f32>(SCALE)", "vec4<f32>(1.0)")),
    (Default, ("dropout", "dropout/apply", "factors[i]", "factors[0u]")),
    (Default, ("detach", "detach/forward", "= x[ix]", "= -x[ix]")),
    (Default, ("detach", "detach/forward", "= x[ix]", "= x[ix / 2u]")),
    (Default, ("ema", "ema/update", "scalars.step == 1u", "scalars.step == 2u")),
    (Default, ("ema", "ema/update", "+= WEIGHT", "+= (1.0 - WEIGHT)")),
    (Default, ("ema", "ema/update", "p - (1.0 - WEIGHT)", "p + (1.0 - WEIGHT)")),
    (Default, ("ema", "ema/update", "!= 0.0", "!= control[NOT_FINITE]")),
    (Default, ("fill", "fill/forward", "= VALUE", "= -VALUE")),
    (Default, ("fill", "fill/forward", "= VALUE", "= 2.0 * VALUE")),
    (Default, ("fill", "fill/forward", "ix < arrayLength", "ix + 1u < arrayLength")),
    (
        Default,
        ("finite_check", "finite_check/partials", "ix += N_PARTIALS", "ix += 3u * N_PARTIALS"),
    ),
    (Default, ("finite_check", "finite_check/partials", "== EXPONENT", "!= EXPONENT")),
    (Default, ("finite_check", "finite_check/flag", "workgroupBarrier();", "")),
    (Default, ("finite_check", "finite_check/flag", "= STOPPED;", "= 0.0;")),
    (
        Default,
        ("finite_check", "finite_check/partials", "partials[FIRST + partial]", "partials[partial]"),
    ),
    (Default, ("finite_check", "finite_check/flag", "!= STOPPED", "== 0.0")),
    (
        Default,
        ("finite_check", "finite_check/flag", "select(0.0, SKIPPED", "select(SKIPPED, SKIPPED"),
    ),
    (Default, ("flatten", "flatten/forward", "(n * C + c) * H + h", "(n * C + c) * H + w")),
    (
        Default,
        (
            "flatten",
            "flatten/forward",
            "result[nchw] = source[nhwc]",
            "result[nhwc] = source[nhwc]",
        ),
    ),
    (
        Default,
        (
            "flatten",
            "flatten/forward",
            "result[nhwc] = source[nchw]",
            "result[nhwc] = source[nhwc]",
        ),
    ),
    (Default, ("leaky_relu", "leaky_relu/forward", "SLOPE * x[ix]", "0.0")),
    (Default, ("leaky_relu", "leaky_relu/forward", "> 0.0", "> 0.5")),
    (Default, ("leaky_relu", "leaky_relu/backward", "SLOPE * d_y[ix]", "d_y[ix]")),
    (Default, ("leaky_relu", "leaky_relu/backward", "y[ix] > 0.0", "y[ix] < 0.0")),
    (Default, ("linear", "linear/matmul", "sum1 += left[l.y]", "sum1 = left[l.y]")),
    (Default, ("linear", "linear/matmul", "k * RIGHT_K", "k")),
    (Default, ("linear", "linear/matmul", "sums.z + bias_of(column + 2u)", "sums.z")),
    (Naive, ("linear", "linear/forward_naive", "i < FEATURES_IN", "i + 1u < FEATURES_IN")),
    (Naive, ("linear", "linear/d_input_naive", "weight[i * FEATURES_OUT + o]", "weight[o]")),
    (Naive, ("linear", "linear/d_weight_naive", "row = 0u", "row = 1u")),
    (Default, ("max_pool2d", "shared/greater_or_nan", "values > largest", "values >= largest")),
    (Default, ("max_pool2d", "max_pool2d/forward", "!found ||", "")),
    (Default, ("max_pool2d", "max_pool2d/backward", "sum += d_y", "sum = d_y")),
    (Default, ("max_pool2d", "max_pool2d/backward", "+ PADDING_W - kx", "- kx")),
    (
        Default,
        ("metrics", "metrics/add", "metrics[LOSS_SUM] += sums.x", "metrics[LOSS_SUM] = sums.y"),
    ),
    (Default, ("metrics", "metrics/add", "flag == 0.0", "flag >= 0.0")),
    (Default, ("metrics", "metrics/add", "metrics[FLAG] = flag;", "")),
    (Default, ("metrics", "metrics/add", "N_SKIPPED] += 1.0", "N_SKIPPED] = 1.0")),
    (Default, ("metrics", "metrics/add", "flag == SKIPPED", "flag != 0.0")),
    (Default, ("metrics", "metrics/sum_rows", "row += 64u", "row += 65u")),
    (Default, ("metrics", "metrics/sum_shard", "[N_IMAGES] = sums.z", "[N_IMAGES] = sums.y")),
    (
        Default,
        (
            "metrics",
            "metrics/accumulate_shards",
            "step_metrics[LOSS_SUM]",
            "step_metrics[N_CORRECT]",
        ),
    ),
    (Default, ("mul", "mul/forward", "a[ix] *", "a[ix] +")),
    (Default, ("mul", "mul/forward", "ix / (ROWS * CHANNELS) * CHANNELS +", "")),
    (Default, ("mul", "mul/forward", "+ ix % CHANNELS", "")),
    (Default, ("mul", "mul/d_b", "sum += d_y", "sum = d_y")),
    (Default, ("mul", "mul/d_b", "(n * ROWS + row)", "row")),
    (Default, ("mul", "mul/d_b", "ix / (CHANNELS * N) *", "0u *")),
    (Default, ("mul", "mul/d_b", "min(first + ROWS_PER_PARTITION, ROWS)", "ROWS")),
    (Default, ("mul", "shared/sum_partials", "partial = 0u", "partial = 1u")),
    (Default, ("relu", "relu/forward", "x[ix] <= 0.0", "x[ix] <= 0.5")),
    (Default, ("relu", "relu/backward", "y[ix] > 0.0", "y[ix] >= 0.0")),
    (Default, ("relu", "relu/backward", "0.0, d_y[ix]", "d_y[ix], 0.0")),
    (Default, ("resize", "resize/axis", "min(low + 1u, axis.n_inputs - 1u)", "low")),
    (Default, ("resize", "resize/axis", "+ axis.added, axis.subtracted)", ", axis.subtracted)")),
    (Default, ("resize", "resize/forward", "(1.0 - row.weight) * means.x", "means.x")),
    (Default, ("resize", "resize/backward", "max(input, 1u) - 1u, input", "input, input")),
    (Default, ("resize", "resize/backward", "+ axis.step - 1u) /", "+ axis.step) /")),
    (Default, ("resize", "resize/backward", "around.high == input", "around.low == input")),
    (
        Default,
        (
            "partial_sum",
            "partial_sum/accumulate",
            "partial_sums[ix] + results[ix]",
            "partial_sums[ix] - results[ix]",
        ),
    ),
    (
        Default,
        ("partial_sum", "partial_sum/accumulate", "added_levels >> LEVEL", "added_levels >> 0u"),
    ),
    (
        Default,
        ("partial_sum", "partial_sum/accumulate", "(scalars.stored_level >> LEVEL) & 1u", "1u"),
    ),
    (Segments, ("partial_sum", "partial_sum/accumulate", "partial_sums[ix] = results[ix];", "")),
    (Default, ("running_statistics", "running_statistics/update", "SHARE * batch", "batch")),
    (Default, ("running_statistics", "running_statistics/update", "(1.0 - MOMENTUM)", "1.0")),
    (
        Default,
        ("running_statistics", "running_statistics/update", "+ MOMENTUM * batch;", "+ batch;"),
    ),
    (
        Default,
        (
            "running_statistics",
            "running_statistics/update",
            "NOT_FINITE] == 0.0",
            "NOT_FINITE] >= 0.0",
        ),
    ),
    (Default, ("scale", "scale/forward", "FACTOR * x", "x")),
    (Default, ("scale", "scale/by_scalar", "s[0] * x", "s[0] + x")),
    (Default, ("scale", "scale/by_scalar", "s[0] * x[ix]", "s[0] * x[0]")),
    (Default, ("sgd", "sgd/step", "+ WEIGHT_DECAY * p", "")),
    (Default, ("sgd", "shared/optimizer", "!= 0.0", "!= control[NOT_FINITE]")),
    (Default, ("sgd", "sgd/step", "scalars.optimizer.x", "scalars.optimizer.y")),
    (Default, ("sgd", "sgd/step", "LR_FACTOR * ", "")),
    (Default, ("sgd", "sgd/momentum", "LR_FACTOR * ", "")),
    (Default, ("sgd", "sgd/momentum", "+ WEIGHT_DECAY * p", "")),
    (Default, ("sgd", "sgd/momentum", "MOMENTUM * momentum_buffer[ix]", "momentum_buffer[ix]")),
    (Default, ("sgd", "sgd/momentum", "momentum_buffer[ix] = b;", "")),
    (Default, ("sgd", "sgd/momentum", "g + MOMENTUM * b", "b + MOMENTUM * b")),
    (Default, ("sigmoid", "shared/sigmoid", "x >= 0.0", "x <= 0.0")),
    (Default, ("sigmoid", "shared/sigmoid", "-abs(x)", "-x")),
    (Default, ("sigmoid", "sigmoid/backward", "(1.0 - y[ix])", "(1.0 + y[ix])")),
    (Default, ("sigmoid", "sigmoid/backward", "* y[ix];", ";")),
    (Default, ("space_to_depth", "space_to_depth/forward", "/ (BLOCK * C) % BLOCK", "% BLOCK")),
    (
        Default,
        ("space_to_depth", "space_to_depth/forward", "(oh * BLOCK + kh)", "(kh * BLOCK + oh)"),
    ),
    (Default, ("space_to_depth", "space_to_depth/forward", "if BACKWARD", "if !BACKWARD")),
];

fn mutants() -> impl Iterator<Item = &'static (In, Mutant)> {
    let of_conv2d = conv2d::MUTANTS.iter().chain(conv2d_groups::MUTANTS).chain(winograd::MUTANTS);
    MUTANTS.iter().chain(augment::MUTANTS).chain(of_conv2d)
}

#[test]
fn every_mutant_is_caught() {
    let cpu = Device::cpu(OpenOptions::default());
    let mut survivors = Vec::new();
    // On a hardware adapter, no case runs the code that these mutants change.
    let is_software = common::open(OpenOptions::default()).runs_on_cpu();
    let of_software = conv2d_groups::SOFTWARE_MUTANTS.iter().filter(|_| is_software);
    // The last cases catch most mutants, and the first ones those of software adapters. Compiling a case takes long.
    let last_first = mutants().map(|mutant| (mutant, true));
    for ((within, mutant), is_last_first) in last_first.chain(of_software.map(|m| (m, false))) {
        let (op, file, text, becomes) = mutant;
        match is_caught(&cpu, *within, mutant, is_last_first) {
            Ok(true) => {}
            Ok(false) => survivors.push(format!("{op}: {file}: {text:?} -> {becomes:?}")),
            // A shader that does not load does not test the comparison, so it counts as a survivor.
            Err(error) => survivors.push(format!("{op}: {file}: {text:?} -> {becomes:?}: {error}")),
        }
    }
    assert!(survivors.is_empty(), "no case catches these mutants:\n{}", survivors.join("\n"));
}

/// Returns true if some case of the op that runs the broken file disagrees with the CPU. The last cases run first if
/// `is_last_first` is true.
fn is_caught(
    cpu: &Device,
    within: In,
    &(op, file, text, becomes): &Mutant,
    is_last_first: bool,
) -> Result<bool, DeviceError> {
    let original = ShaderLibrary::default().file(file).unwrap_or_else(|| panic!("no {file}"));
    // Comments are left out, because an edit of a comment would change nothing.
    let is_code = |line: &&str| !line.trim_start().starts_with("//") || line.contains("#import");
    let code = original.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    assert!(code.contains(text), "{file} does not contain {text:?}");
    let broken = code.replacen(text, becomes, 1);
    let shaders = ShaderLibrary::default().with_override(file, broken);
    let gpu = common::open(OpenOptions { shaders, ..within.options() });
    let checks = CaseTape::for_shaders().filter(|check| check.op == op && within.runs(check, file));
    let mut checks: Vec<_> = checks.collect();
    if is_last_first {
        checks.reverse();
    }
    for check in checks {
        for data in variations(&check) {
            let run = |device: &Device| {
                let mut session = device.session(check.tape.state())?;
                check.run_on(&mut *session, &data)
            };
            if check.compare(&run(cpu)?, &run(&gpu)?).is_err() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[test]
fn every_op_has_a_mutant() {
    let broken: BTreeSet<&str> = mutants().map(|(_, mutant)| mutant.0).collect();
    let stems = ops::ALL.iter().map(|op| op.stem);
    let missing: Vec<_> = stems.filter(|stem| !broken.contains(stem)).collect();
    assert!(missing.is_empty(), "ops without a mutant: {missing:?}");
}
