//! Batch normalisation over all axes but the last.
//!
//! ```text
//! mean[c] = Σ x[row, c] / n        var[c] = Σ (x[row, c] − mean[c])² / n
//! y[row, c] = (x[row, c] − mean[c]) / √(var[c] + eps) · gamma[c] + beta[c]
//! ```
//!
//! As in PyTorch, the biased variance above normalises the batch, and the running variance takes the unbiased variance,
//! `var · n / (n − 1)`. [`forward`] returns the statistics of the batch; another node,
//! [`running_statistics`](super::running_statistics), updates the running statistics. [`eval`] normalises with the
//! running statistics. [`backward`] has the two nodes of the gradient. [`relu`](mod@relu) is the fused op of a batch
//! norm and the ReLU after it, and [`add_relu`] the fused op of a batch norm, the addition of a residual and a ReLU. `ops/mean_m2.rs` computes mean and M2.
//!
//! Layouts: x `[..., C]`, everything else `[C]`. Shaders: `shaders/batch_norm/`. Derivation:
//! `docs/ops/batch_norm.md`.

pub mod add_relu;
pub mod backward;
pub mod eval;
pub mod forward;
pub mod relu;

pub use eval::{BatchNormEval, batch_norm_eval};
pub use forward::{Normalised, batch_norm};

use super::partitions::Partitions;
use super::{Case, OpTests, add::add, case::Fill, n_channels, n_rows, relu::relu};
use crate::kernel::{Binding, Launch, Real, Shader, grid};
use crate::tape::{ElementType, Tape, ValueId};

/// The sizes of a batch norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchNormGeometry {
    /// Number of channels of a row.
    pub channels: usize,
    /// The partitions of the rows, for the sums over them.
    pub partitions: Partitions,
}

impl BatchNormGeometry {
    /// Returns the geometry of x and checks the shapes of the values with one number per channel.
    ///
    /// # Panics
    /// If a shape in `per_channel` is not `[C]`.
    pub fn new(x: &[usize], per_channel: &[&[usize]]) -> Self {
        let channels = n_channels(x);
        for shape in per_channel {
            assert_eq!(*shape, [channels], "batch_norm: x {x:?}, but a parameter is {shape:?}");
        }
        Self { channels, partitions: Partitions::of_sum(n_rows(x)) }
    }

    /// Returns the number of rows of x, which is n in the formulas.
    pub fn rows(&self) -> usize {
        self.partitions.n_rows
    }

    /// Returns the number of partial results: two for each channel of each partition.
    fn n_partials(&self) -> usize {
        self.partitions.count() * 2 * self.channels
    }

    /// Returns a shader with the constant of `shaders/batch_norm/geometry.wgsl`.
    pub fn shader(&self, path: &'static str) -> Shader {
        Shader::new(path).constant("CHANNELS", self.channels)
    }

    /// Returns the bindings of `shaders/batch_norm/partitions.wgsl`, and then `bindings`.
    pub fn with_partitions(&self, bindings: &[Binding]) -> Vec<Binding> {
        let sizes = [self.rows(), self.partitions.rows_each, self.channels];
        sizes.map(Binding::size).into_iter().chain(bindings.iter().copied()).collect()
    }

    /// Appends the dispatches that merge the partial results of all partitions, `[partitions, 2, C]`. If there are more
    /// than [`PARTITIONS_PER_GROUP`](super::partitions::PARTITIONS_PER_GROUP) partitions, the first dispatch merges
    /// groups of partitions, and the next dispatch merges the groups. `path` is the shader. For the last dispatch,
    /// `finish` adds the shader import `emit`, which stores the two results of a channel, and `bindings` are the buffers
    /// that this import binds.
    pub fn merge_partitions(
        &self,
        mut launch: Launch,
        mut partials: Binding,
        path: &'static str,
        finish: impl Fn(Shader) -> Shader,
        bindings: &[Binding],
    ) -> Launch {
        let mut g = *self;
        while let Some(groups) = g.partitions.groups() {
            let grouped = Self { partitions: groups, ..g };
            let merged = Binding::Scratch(launch.scratch.len());
            launch = launch.with_scratch(grouped.n_partials()).then(
                Shader::new(path).import("emit", "batch_norm/emit_partials"),
                &g.with_partitions(&[partials, merged]),
                grid(groups.count() * g.channels),
            );
            (g, partials) = (grouped, merged);
        }
        let bindings: Vec<_> = [partials].into_iter().chain(bindings.iter().copied()).collect();
        launch.then(finish(Shader::new(path)), &g.with_partitions(&bindings), grid(g.channels))
    }
}

/// Returns the attributes of a batch norm node as text, which listings of the tape show.
fn attributes(eps: f32, mean_m2: Option<Partitions>) -> String {
    let given = if mean_m2.is_some() { ", given mean_m2" } else { "" };
    format!("eps {eps}{given}")
}

/// Returns x normalised, before scale and shift.
fn x_hat<T: Real>(x: T, mean: T, inv_std: T) -> T {
    (x - mean) * inv_std
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "batch_norm", cases };

const EPS: f32 = 1e-5;

/// An eps that changes every result, so that a kernel with another eps fails.
const LARGE_EPS: f32 = 0.25;

/// Returns a case with the inputs x, gamma and beta. `record` records the ops after the batch norm; its arguments are
/// the tape, the output of the batch norm, and the inputs after beta.
fn case_with(
    name: String,
    x: &[usize],
    fill: Fill,
    eps: f32,
    record: impl Fn(&mut Tape, ValueId, &[ValueId]) -> ValueId + Send + Sync + 'static,
) -> Case {
    let channels = [n_channels(x)];
    let case = Case::new(name, n_rows(x), move |tape, inputs| {
        let n = batch_norm(tape, inputs[0], inputs[1], inputs[2], eps);
        vec![record(tape, n.y, &inputs[3..])]
    });
    let case = case.real("x", x, fill).real("gamma", &channels, Fill::Normal);
    case.real("beta", &channels, Fill::Normal)
}

fn case(x: &[usize], fill: Fill, eps: f32) -> Case {
    case_with(format!("{x:?}, {fill:?}"), x, fill, eps, |_, y, _| y)
}

/// Returns a case of a batch norm that is fused with the ReLU after it.
fn relu_case(x: &[usize], fill: Fill, eps: f32) -> Case {
    let name = format!("{x:?}, {fill:?}, fused ReLU");
    case_with(name, x, fill, eps, |tape, y, _| relu(tape, y)).fused(1)
}

/// Returns a case of a batch norm that is fused with the ReLU after it and the addition after the ReLU.
fn relu_add_case(x: &[usize], fill: Fill) -> Case {
    let name = format!("{x:?}, {fill:?}, fused ReLU and add");
    let record = |tape: &mut Tape, y, more: &[ValueId]| {
        let y = relu(tape, y);
        add(tape, y, more[0])
    };
    case_with(name, x, fill, EPS, record).fused(1).real("residual", x, Fill::Normal)
}

/// Returns a case of a batch norm that is fused with the addition after it and the ReLU after the addition.
fn add_relu_case(x: &[usize], fill: Fill, eps: f32) -> Case {
    let name = format!("{x:?}, {fill:?}, fused add and ReLU");
    let record = |tape: &mut Tape, y, more: &[ValueId]| {
        let y = add(tape, y, more[0]);
        relu(tape, y)
    };
    case_with(name, x, fill, eps, record).fused(1).real("residual", x, Fill::Normal)
}

/// Returns a case of a fused batch norm whose residual is the output of another batch norm, which is recorded later.
fn two_norms_case(x: &[usize]) -> Case {
    let channels = [n_channels(x)];
    let name = format!("{x:?}, fused add of another batch norm and ReLU");
    let record = |tape: &mut Tape, y, more: &[ValueId]| {
        let [shortcut, gamma, beta] = more else { panic!("three more inputs") };
        let shortcut = batch_norm(tape, *shortcut, *gamma, *beta, EPS).y;
        let y = add(tape, shortcut, y);
        relu(tape, y)
    };
    let case = case_with(name, x, Fill::Normal, EPS, record).fused(1);
    let case = case.real("shortcut", x, Fill::Normal).real("gamma2", &channels, Fill::Normal);
    case.real("beta2", &channels, Fill::Normal)
}

/// Returns a case in evaluation; with `add_relu`, fused with an addition and a ReLU.
fn eval_case(x: &[usize], eps: f32, add_relu: bool) -> Case {
    let channels = [n_channels(x)];
    let fused = if add_relu { ", fused add and ReLU" } else { "" };
    let case = Case::new(format!("{x:?}, evaluation{fused}"), 1, move |tape, inputs| {
        let [x, gamma, beta, mean, var] = [0, 1, 2, 3, 4].map(|ix| inputs[ix]);
        let y = batch_norm_eval(tape, x, gamma, beta, mean, var, eps);
        let Some(&residual) = inputs.get(5) else { return vec![y] };
        let y = add(tape, y, residual);
        vec![relu(tape, y)]
    });
    let case = case
        .real("x", x, Fill::Normal)
        .fixed("gamma", &channels, ElementType::F32, Fill::Normal)
        .fixed("beta", &channels, ElementType::F32, Fill::Normal)
        .fixed("running_mean", &channels, ElementType::F32, Fill::Normal)
        .fixed("running_var", &channels, ElementType::F32, Fill::Positive);
    if add_relu { case.fused(1).real("residual", x, Fill::Normal) } else { case }
}

fn cases() -> Vec<Case> {
    vec![
        case(&[3, 5, 7, 6], Fill::Normal, LARGE_EPS),
        case(&[4, 9, 9, 3], Fill::Around(30.0), EPS),
        case(&[2, 5], Fill::Normal, EPS),
        // More partitions than one invocation merges.
        case(&[5, 23, 19, 2], Fill::Around(30.0), EPS),
        relu_case(&[3, 5, 7, 8], Fill::Normal, LARGE_EPS),
        relu_add_case(&[4, 9, 9, 4], Fill::Around(30.0)),
        relu_add_case(&[3, 2, 2, 12], Fill::Normal),
        add_relu_case(&[3, 5, 7, 8], Fill::Normal, LARGE_EPS),
        add_relu_case(&[5, 23, 19, 4], Fill::Around(30.0), EPS),
        two_norms_case(&[4, 3, 3, 12]),
        eval_case(&[3, 5, 7, 6], EPS, false),
        eval_case(&[2, 3, 3, 5], LARGE_EPS, false),
        eval_case(&[3, 5, 7, 8], LARGE_EPS, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    #[should_panic(expected = "a parameter is [5]")]
    fn refuses_parameters_of_other_channels() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[2, 3, 3, 4]);
        let gamma = tape.input("gamma", ElementType::F32, &[5]);
        let beta = tape.input("beta", ElementType::F32, &[4]);
        batch_norm(&mut tape, x, gamma, beta, EPS);
    }

    #[test]
    #[should_panic(expected = "more than one value")]
    fn refuses_a_single_row() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[1, 1, 1, 4]);
        let gamma = tape.input("gamma", ElementType::F32, &[4]);
        let beta = tape.input("beta", ElementType::F32, &[4]);
        batch_norm(&mut tape, x, gamma, beta, EPS);
    }
}
