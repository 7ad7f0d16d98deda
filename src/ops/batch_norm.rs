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
//! norm and the ReLU after it. `ops/mean_m2.rs` computes mean and M2.
//!
//! Layouts: x `[..., C]`, everything else `[C]`. Shaders: `shaders/batch_norm/`. Derivation:
//! `docs/ops/batch_norm.md`.

pub mod backward;
pub mod eval;
pub mod forward;
pub mod relu;

pub use eval::batch_norm_eval;
pub use forward::{Normalised, batch_norm};

use super::partitions::{PARTITIONS_PER_GROUP, Partitions};
use super::{Case, OpTests, add::add, case::Fill, n_channels, n_rows, relu::relu};
use crate::kernel::{Binding, Launch, Real, Shader, grid};
use crate::tape::ElementType;

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

    /// Returns a shader with the constants of `shaders/batch_norm/geometry.wgsl`. With these constants, all partitions
    /// are in one group.
    pub fn shader(&self, path: &'static str) -> Shader {
        self.shader_with_groups(path, self.partitions.count())
    }

    /// Returns a shader as [`BatchNormGeometry::shader`] does, but with groups of `partitions_per_group` partitions.
    fn shader_with_groups(&self, path: &'static str, partitions_per_group: usize) -> Shader {
        let n_partitions = self.partitions.count();
        Shader::new(path).constants(&[
            ("ROWS", self.rows()),
            ("CHANNELS", self.channels),
            ("ROWS_PER_PARTITION", self.partitions.rows_each),
            ("N_PARTITIONS", n_partitions),
            ("PARTITIONS_PER_GROUP", partitions_per_group),
            ("N_GROUPS", n_partitions.div_ceil(partitions_per_group)),
        ])
    }

    /// Appends the dispatches that merge the partial results of all partitions, `[partitions, 2, C]`. If there are more
    /// than [`PARTITIONS_PER_GROUP`] partitions, the first dispatch merges groups of partitions, and the next dispatch
    /// merges the groups. `path` is the shader. For the last dispatch, `finish` adds the shader import `emit`, which
    /// stores the two results of a channel, and `bindings` are the buffers that this import binds, from binding 1 on.
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
            let shader = g.shader_with_groups(path, PARTITIONS_PER_GROUP);
            let grouped = Self { partitions: groups, ..g };
            let merged = Binding::Scratch(launch.scratch.len());
            launch = launch.with_scratch(grouped.n_partials()).then(
                shader.import("emit", "batch_norm/emit_partials"),
                &[partials, merged],
                grid(groups.count() * g.channels),
            );
            (g, partials) = (grouped, merged);
        }
        let bindings: Vec<_> = [partials].into_iter().chain(bindings.iter().copied()).collect();
        launch.then(finish(g.shader(path)), &bindings, grid(g.channels))
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

fn case(x: &[usize], fill: Fill) -> Case {
    let channels = [n_channels(x)];
    Case::new(format!("{x:?}, {fill:?}"), n_rows(x), |tape, inputs| {
        let n = batch_norm(tape, inputs[0], inputs[1], inputs[2], EPS);
        vec![n.y]
    })
    .real("x", x, fill)
    .real("gamma", &channels, Fill::Normal)
    .real("beta", &channels, Fill::Normal)
}

/// Returns a case of a batch norm that is fused with the ReLU after it and, if `residual` is true, with the addition
/// after the ReLU.
fn relu_case(x: &[usize], fill: Fill, residual: bool) -> Case {
    let channels = [n_channels(x)];
    let name = format!("{x:?}, {fill:?}, fused ReLU{}", if residual { " and add" } else { "" });
    let case = Case::new(name, n_rows(x), |tape, inputs| {
        let n = batch_norm(tape, inputs[0], inputs[1], inputs[2], EPS);
        let y = relu(tape, n.y);
        let y = inputs.get(3).map_or(y, |&residual| add(tape, y, residual));
        vec![y]
    });
    let case = case.fused(1).real("x", x, fill).real("gamma", &channels, Fill::Normal).real(
        "beta",
        &channels,
        Fill::Normal,
    );
    if residual { case.real("residual", x, Fill::Normal) } else { case }
}

fn eval_case(x: &[usize]) -> Case {
    let channels = [n_channels(x)];
    Case::new(format!("{x:?}, evaluation"), 1, |tape, inputs| {
        let [x, gamma, beta, mean, var] = inputs else { panic!("five inputs") };
        vec![batch_norm_eval(tape, *x, *gamma, *beta, *mean, *var, EPS)]
    })
    .fixed("x", x, ElementType::F32, Fill::Normal)
    .fixed("gamma", &channels, ElementType::F32, Fill::Normal)
    .fixed("beta", &channels, ElementType::F32, Fill::Normal)
    .fixed("running_mean", &channels, ElementType::F32, Fill::Normal)
    .fixed("running_var", &channels, ElementType::F32, Fill::Positive)
}

fn cases() -> Vec<Case> {
    vec![
        case(&[3, 5, 7, 6], Fill::Normal),
        case(&[4, 9, 9, 3], Fill::Around(30.0)),
        case(&[2, 5], Fill::Normal),
        // More partitions than one invocation merges.
        case(&[5, 23, 19, 2], Fill::Around(30.0)),
        relu_case(&[3, 5, 7, 8], Fill::Normal, false),
        relu_case(&[4, 9, 9, 4], Fill::Around(30.0), true),
        relu_case(&[3, 2, 2, 12], Fill::Normal, true),
        eval_case(&[3, 5, 7, 6]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Mode, Tape};

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
