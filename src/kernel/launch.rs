//! What an op asks of the GPU: shaders, bindings, grids.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which of an op's kernels to use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// The ones to read: one invocation, one result, the formula as it stands.
    Naive,
    /// The fast ones, chosen by shape and kind of adapter.
    Default,
    /// The fast ones, chosen by measuring on the adapter, once.
    #[default]
    Tuned,
}

/// How a matrix product is cut. All make the same bits: every sum has the same terms in the same order.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ValueEnum, Serialize, Deserialize,
)]
pub enum Tile {
    /// 8 x 4 results an invocation, in registers, without workgroup memory or barriers.
    #[serde(rename = "registers")]
    Registers,
    /// The same 8 x 4, with neighbours in a subgroup that read for each other, and shuffle.
    #[serde(rename = "subgroup")]
    Subgroup,
    /// 64 x 64 results a workgroup, 4 x 4 an invocation.
    #[serde(rename = "64x64")]
    Square64,
    /// 128 x 128 results a workgroup, 8 x 8 an invocation.
    #[serde(rename = "128x128")]
    Square128,
}

impl Tile {
    /// Every tile.
    pub const ALL: &'static [Tile] =
        &[Tile::Registers, Tile::Subgroup, Tile::Square64, Tile::Square128];

    /// `64x64`
    pub fn name(self) -> &'static str {
        match self {
            Tile::Registers => "registers",
            Tile::Subgroup => "subgroup",
            Tile::Square64 => "64x64",
            Tile::Square128 => "128x128",
        }
    }

    /// Whether it does without workgroup memory.
    pub fn is_in_registers(self) -> bool {
        matches!(self, Tile::Registers | Tile::Subgroup)
    }
}

/// What an op may know of the device it launches on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Target {
    /// Which kernels to use.
    pub kernels: Kernels,
    /// Whether a processor runs them: there, workgroup memory and barriers cost more than they give.
    pub is_software: bool,
    /// How many invocations are in a subgroup at least; 0 where kernels cannot use subgroups.
    pub min_subgroup_size: usize,
    /// How to cut a product, where that was measured.
    pub tile: Option<Tile>,
}

impl Target {
    /// Such kernels on an adapter that is hardware.
    pub fn new(kernels: Kernels) -> Self {
        Self { kernels, ..Self::default() }
    }

    /// Whether its kernels can be cut so.
    pub fn has(&self, tile: Tile) -> bool {
        tile != Tile::Subgroup || self.min_subgroup_size > 1
    }

    /// How to cut a product of so many rows and columns: as was measured, else by a rule of thumb.
    pub fn tile(&self, rows: usize, columns: usize) -> Tile {
        self.tile.unwrap_or_else(|| self.tile_by_rule(rows, columns))
    }

    fn tile_by_rule(&self, rows: usize, columns: usize) -> Tile {
        let n_large = rows.div_ceil(128) * columns.div_ceil(128);
        // One instruction of a processor's shuffles eight lanes; of fewer or more it makes a loop.
        if self.is_software && self.min_subgroup_size == 8 {
            Tile::Subgroup
        } else if self.is_software || columns < 32 {
            Tile::Registers
        } else if columns > 64 && n_large >= 64 {
            Tile::Square128
        } else {
            Tile::Square64
        }
    }

    /// The import `turns`: whether a compiler is to know how often a loop turns.
    pub fn turns(&self) -> &'static str {
        if self.is_software { "shared/turns_hidden" } else { "shared/turns_known" }
    }
}

/// The value of a `const` that a shader declares and the loader replaces.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Constant {
    /// A `u32`.
    U32(u32),
    /// An `f32`; every bit arrives.
    F32(f32),
    /// A `bool`.
    Bool(bool),
}

impl fmt::Display for Constant {
    /// As WGSL writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::U32(value) => write!(f, "{value}u"),
            // Rust's shortest decimal that reads back as the same bits.
            Constant::F32(value) => write!(f, "{value:?}f"),
            Constant::Bool(value) => write!(f, "{value}"),
        }
    }
}

impl From<usize> for Constant {
    fn from(value: usize) -> Self {
        Constant::U32(u32::try_from(value).expect("sizes on the GPU fit 32 bits"))
    }
}

impl From<f32> for Constant {
    fn from(value: f32) -> Self {
        Constant::F32(value)
    }
}

impl From<bool> for Constant {
    fn from(value: bool) -> Self {
        Constant::Bool(value)
    }
}

/// A shader: a file below `shaders/`, the files its imports stand for, and its constants.
#[derive(Clone, PartialEq, Debug)]
pub struct Shader {
    /// `conv2d/forward`, without the extension.
    pub path: &'static str,
    /// Names that the file imports, and the file each stands for. An import that is not listed here
    /// names a file below `shaders/` itself.
    pub imports: Vec<(&'static str, &'static str)>,
    /// Constants that the file, or an import, declares, and their values.
    pub constants: Vec<(&'static str, Constant)>,
}

impl Shader {
    /// The shader in `shaders/<path>.wgsl`, as it stands.
    pub fn new(path: &'static str) -> Self {
        Self { path, imports: Vec::new(), constants: Vec::new() }
    }

    /// Lets the import `name` stand for the file `path`.
    pub fn import(mut self, name: &'static str, path: &'static str) -> Self {
        self.imports.push((name, path));
        self
    }

    /// Replaces the value of the constant `name`.
    pub fn constant(mut self, name: &'static str, value: impl Into<Constant>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// [`Shader::constant`] for several.
    pub fn constants(mut self, values: &[(&'static str, usize)]) -> Self {
        self.constants.extend(values.iter().map(|&(name, value)| (name, value.into())));
        self
    }
}

/// What stands at a binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// The node's input of that number.
    Input(usize),
    /// The node's output of that number. For an output that aliases an input, bind this one alone.
    Output(usize),
    /// The launch's scratch memory of that number.
    Scratch(usize),
    /// The uniform [`StepScalars`](crate::kernel::StepScalars).
    Step,
}

/// One dispatch.
#[derive(Clone, PartialEq, Debug)]
pub struct Dispatch {
    /// What runs.
    pub shader: Shader,
    /// `@group(0) @binding(i)` is the i-th of these.
    pub bindings: Vec<Binding>,
    /// Workgroups along x, y, z; each at most 65,535.
    pub workgroups: [u32; 3],
}

/// What a node launches: dispatches in order, and the scratch memory they share.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Launch {
    /// Sizes of scratch memory, in bytes. Nothing is kept in it between nodes.
    pub scratch: Vec<u64>,
    /// The dispatches.
    pub dispatches: Vec<Dispatch>,
}

impl Launch {
    /// A launch of one dispatch.
    pub fn one(shader: Shader, bindings: &[Binding], workgroups: [u32; 3]) -> Self {
        Self::default().then(shader, bindings, workgroups)
    }

    /// Adds scratch memory of `n` f32; the first is [`Binding::Scratch`]`(0)`.
    pub fn with_scratch(mut self, n: usize) -> Self {
        self.scratch.push(4 * n as u64);
        self
    }

    /// Adds a dispatch.
    pub fn then(mut self, shader: Shader, bindings: &[Binding], workgroups: [u32; 3]) -> Self {
        let bindings = bindings.to_vec();
        self.dispatches.push(Dispatch { shader, bindings, workgroups });
        self
    }

    /// Adds a dispatch that makes `total`, of `n` elements: at once, or in `n_parts` partial sums, which lie one
    /// behind the other in scratch memory, and which another dispatch adds up.
    pub fn then_in_parts(
        self,
        shader: Shader,
        bindings: &[Binding],
        workgroups: [u32; 3],
        n_parts: usize,
        total: Binding,
        n: usize,
    ) -> Self {
        if n_parts == 1 {
            return self.then(shader, bindings, workgroups);
        }
        let scratch = self.scratch.len();
        let partials = |&to: &Binding| if to == total { Binding::Scratch(scratch) } else { to };
        let bindings: Vec<_> = bindings.iter().map(partials).collect();
        let sum = Shader::new("shared/sum_slabs").constant("N_SLABS", n_parts);
        self.with_scratch(n_parts * n).then(shader, &bindings, workgroups).then(
            sum,
            &[Binding::Scratch(scratch), total],
            grid(n),
        )
    }
}

/// The most workgroups that WebGPU allows along one axis.
pub const MAX_WORKGROUPS: usize = 65_535;

/// Invocations in the workgroup of every kernel that runs along one axis; `shaders/shared/linear_index`
/// says the same.
pub const WORKGROUP_SIZE: usize = 64;

/// A grid of at least `n_invocations`, in workgroups of [`WORKGROUP_SIZE`], folded into two axes
/// where one does not hold it. `shaders/shared/linear_index.wgsl` unfolds it.
pub fn grid(n_invocations: usize) -> [u32; 3] {
    grid_of_workgroups(n_invocations.div_ceil(WORKGROUP_SIZE))
}

/// A grid of at least `n` workgroups, folded as [`grid`] folds it.
pub fn grid_of_workgroups(n: usize) -> [u32; 3] {
    let n = n.max(1);
    let rows = n.div_ceil(MAX_WORKGROUPS);
    let columns = n.div_ceil(rows);
    assert!(rows <= MAX_WORKGROUPS, "{n} workgroups do not fit a grid");
    [columns as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_cover_and_fold() {
        assert_eq!(grid(0), [1, 1, 1]);
        assert_eq!(grid(65), [2, 1, 1]);
        // A ReLU over the first layer at width 64 and batch 512.
        let [x, y, _] = grid(512 * 32 * 32 * 64);
        assert!(x as usize <= MAX_WORKGROUPS && y == 9);
        assert!(x as usize * y as usize * WORKGROUP_SIZE >= 512 * 32 * 32 * 64);
    }

    #[test]
    fn constants_are_wgsl_and_keep_every_bit() {
        assert_eq!(Constant::from(3).to_string(), "3u");
        assert_eq!(Constant::from(1e-8_f32).to_string(), "1e-8f");
        assert_eq!(Constant::from(1.0_f32).to_string(), "1.0f");
    }
}
