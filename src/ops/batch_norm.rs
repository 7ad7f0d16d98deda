//! Batch normalisation over all axes but the last.
//!
//! ```text
//! mean[c] = Σ x[row, c] / n        var[c] = Σ (x[row, c] − mean[c])² / n
//! y[row, c] = (x[row, c] − mean[c]) / √(var[c] + eps) · gamma[c] + beta[c]
//! ```
//!
//! As in PyTorch, the batch is normalised with the biased variance above, and the running estimate takes
//! the unbiased one, `var · n / (n − 1)`. [`forward`] emits the batch's statistics; what moves the running
//! ones is a node of its own, [`running_statistics`](super::running_statistics). [`eval`] normalises with
//! the running ones; [`backward`] has the two nodes of the gradient; [`relu`](mod@relu) is what fusion makes of it.
//!
//! Layouts: x `[..., C]`, everything else `[C]`. Shaders: `shaders/batch_norm/`. Derivation:
//! `docs/ops/batch_norm.md`.

pub mod backward;
pub mod eval;
pub mod forward;
pub mod relu;

pub use eval::batch_norm_eval;
pub use forward::{Normalised, batch_norm};
pub(super) use forward::{all_slab_moments, slab_moments};

use super::{
    Case, OpEntry, add::add, case::Fill, channel_sum::slabs, n_channels, n_rows, relu::relu,
};
use crate::kernel::{Binding, Launch, Real, Shader, grid};
use crate::tape::ElementType;

/// The sizes of a batch norm, and how its sums are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub rows: usize,
    pub channels: usize,
    pub n_slabs: usize,
    pub rows_per_slab: usize,
}

impl Geometry {
    /// # Panics
    /// When one of the values that have a number for each channel has another length.
    pub fn new(x: &[usize], per_channel: &[&[usize]]) -> Self {
        let (rows, channels) = (n_rows(x), n_channels(x));
        for shape in per_channel {
            assert_eq!(*shape, [channels], "batch_norm: x {x:?}, but a parameter is {shape:?}");
        }
        let (n_slabs, rows_per_slab) = slabs(rows);
        Self { rows, channels, n_slabs, rows_per_slab }
    }

    /// Numbers that there are of all slabs, two a channel.
    fn n_partials(&self) -> usize {
        self.n_slabs * 2 * self.channels
    }

    /// The same, with groups of slabs for slabs, where those are many.
    fn groups(self) -> Option<Self> {
        let groups = || self.with_slabs_of(self.rows_per_slab * SLABS_PER_GROUP);
        (self.n_slabs > SLABS_PER_GROUP).then(groups)
    }

    /// The same, cut into slabs of so many rows.
    fn with_slabs_of(self, rows_per_slab: usize) -> Self {
        Self { n_slabs: self.rows.div_ceil(rows_per_slab), rows_per_slab, ..self }
    }

    /// A shader with the sizes of `shaders/batch_norm/geometry.wgsl`; all slabs are one group.
    pub fn shader(&self, path: &'static str) -> Shader {
        self.shader_of_groups(path, self.n_slabs)
    }

    /// A shader that takes the slabs in groups of so many.
    fn shader_of_groups(&self, path: &'static str, slabs_per_group: usize) -> Shader {
        Shader::new(path).constants(&[
            ("ROWS", self.rows),
            ("CHANNELS", self.channels),
            ("ROWS_PER_SLAB", self.rows_per_slab),
            ("N_SLABS", self.n_slabs),
            ("SLABS_PER_GROUP", slabs_per_group),
            ("N_GROUPS", self.n_slabs.div_ceil(slabs_per_group)),
        ])
    }

    /// Appends the dispatches that make one of all slabs, two numbers a channel each: in one run, or, where they are
    /// many, group by group, and then the groups. The slabs are `[slabs, 2, C]`. `emit` is the import that takes
    /// the result, and `bindings` what it binds, from 1 on.
    pub fn merge_slabs(
        &self,
        launch: Launch,
        slabs: Binding,
        path: &'static str,
        finish: impl Fn(Shader) -> Shader,
        bindings: &[Binding],
    ) -> Launch {
        let mut g = *self;
        let mut launch = launch;
        let mut from = slabs;
        while let Some(groups) = g.groups() {
            let shader = g.shader_of_groups(path, SLABS_PER_GROUP);
            let made = Binding::Scratch(launch.scratch.len());
            launch = launch.with_scratch(groups.n_partials()).then(
                shader.import("emit", "batch_norm/emit_partials"),
                &[from, made],
                grid(groups.n_slabs * g.channels),
            );
            (g, from) = (groups, made);
        }
        let bindings: Vec<_> = [from].into_iter().chain(bindings.iter().copied()).collect();
        launch.then(finish(g.shader(path)), &bindings, grid(g.channels))
    }
}

/// Slabs that one invocation makes one of; more would keep it busy for longer than the slabs took.
const SLABS_PER_GROUP: usize = 32;

/// Appends the dispatch that makes the moments of slabs of `rows_per_slab` rows of x: `[slabs, 2, C]`, the means of
/// each, and then its sums of squared deviations.
pub(super) fn moments_of_slabs(
    launch: Launch,
    shape: &[usize],
    rows_per_slab: usize,
    x: Binding,
    moments: Binding,
) -> Launch {
    let g = Geometry::new(shape, &[]).with_slabs_of(rows_per_slab);
    let workgroups = grid(g.n_slabs * g.channels);
    launch.then(g.shader("batch_norm/moments_slabs"), &[x, moments], workgroups)
}

/// The listing's description of a node.
fn attributes(eps: f32, rows_per_slab: Option<usize>) -> String {
    let given = rows_per_slab.map_or(String::new(), |_| ", given moments".to_string());
    format!("eps {eps}{given}")
}

/// A normalised value, before scale and shift.
fn x_hat<T: Real>(x: T, mean: T, inv_std: T) -> T {
    (x - mean) * inv_std
}

/// What the tests and benches run.
pub const ENTRY: OpEntry = OpEntry { stem: "batch_norm", cases, bench_cases };

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

/// A batch norm with a ReLU behind it, and, with `residual`, an addition, fused.
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
        // More slabs than one invocation merges.
        case(&[5, 23, 19, 2], Fill::Around(30.0)),
        relu_case(&[3, 5, 7, 8], Fill::Normal, false),
        relu_case(&[4, 9, 9, 4], Fill::Around(30.0), true),
        relu_case(&[3, 2, 2, 12], Fill::Normal, true),
        eval_case(&[3, 5, 7, 6]),
    ]
}

fn bench_cases(width: usize, batch: usize) -> Vec<Case> {
    let shapes = [[batch, 32, 32, width], [batch, 4, 4, 8 * width]];
    let fused = |shape: &[usize; 4]| relu_case(shape, Fill::Normal, true);
    shapes.iter().map(|shape| case(shape, Fill::Normal)).chain(shapes.iter().map(fused)).collect()
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
