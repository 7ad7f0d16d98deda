//! The description of a kernel launch on the GPU: shader, bindings, grid.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::tile::Tile;
use crate::base::choice::Choice;

/// The set of kernels that an op launches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// The readable kernels: one invocation computes one result by the plain formula.
    Naive,
    /// The fast kernels, chosen by shape and kind of adapter.
    Default,
    /// The fast kernels, chosen by measuring each shape once on the adapter.
    #[default]
    Tuned,
}

impl Choice for Kernels {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Naive, "naive", "Simple kernels to read: each invocation computes one element"),
        (Self::Default, "default", "Fast kernels, chosen by shape and kind of adapter"),
        (Self::Tuned, "tuned", "Fast kernels, chosen by one measurement on the adapter"),
    ];
}

/// The properties of the device that an op may use to choose its kernels.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Target {
    /// The set of kernels to launch.
    pub kernels: Kernels,
    /// True for a software adapter, where workgroup memory and barriers cost more than they gain.
    pub is_software: bool,
    /// The smallest subgroup size in invocations; 0 if kernels cannot use subgroups.
    pub min_subgroup_size: usize,
    /// The largest number of bytes of a flat buffer that a dispatch may bind; None for whole buffers. A single member
    /// that is larger is bound whole. The transformed tiles of Winograd's algorithm have at most so many bytes, or those
    /// of the fewest images that begin at a multiple of 256 bytes.
    pub max_segment: Option<u64>,
    /// The tile that was measured to be the fastest for the op's matrix product; None if [`Tile::by_rule`] chooses the
    /// tile.
    pub tile: Option<Tile>,
}

impl Target {
    /// Returns the target of a hardware adapter with these kernels.
    pub fn new(kernels: Kernels) -> Self {
        Self { kernels, ..Self::default() }
    }

    /// Returns true if the adapter can run this tile.
    pub fn has(&self, tile: Tile) -> bool {
        tile != Tile::Subgroup || self.min_subgroup_size > 1
    }

    /// Returns the tile of a product of `rows` x `columns` results: the measured one, otherwise [`Tile::by_rule`].
    pub fn tile(&self, rows: usize, columns: usize) -> Tile {
        let by_rule = || Tile::by_rule(rows, columns, self.is_software, self.min_subgroup_size);
        self.tile.unwrap_or_else(by_rule)
    }

    /// Returns the shader file for the import `trip_count`. On a hardware adapter the trip count of a loop is a
    /// compile-time constant. On a software adapter the trip count is a run-time value: with a constant, Mesa's driver
    /// unrolls short loops and takes longer to compile them.
    pub fn trip_count(&self) -> &'static str {
        if self.is_software { "shared/dynamic_bound" } else { "shared/static_bound" }
    }
}

/// The value of a `const` in a shader. The loader writes the value into the shader's source.
#[derive(Clone, Copy, Debug)]
pub enum Constant {
    /// A `u32`.
    U32(u32),
    /// An `f32`; the shader gets exactly the same bits.
    F32(f32),
    /// A `bool`.
    Bool(bool),
}

impl Constant {
    fn bits(self) -> u32 {
        match self {
            Constant::U32(value) => value,
            Constant::F32(value) => value.to_bits(),
            Constant::Bool(value) => value.into(),
        }
    }
}

/// Constants are equal if their types and all their bits are equal, as in a shader's text.
impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        discriminant(self) == discriminant(other) && self.bits() == other.bits()
    }
}

impl Eq for Constant {}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        discriminant(self).hash(state);
        self.bits().hash(state);
    }
}

impl fmt::Display for Constant {
    /// Writes the constant in WGSL's syntax.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::U32(value) => write!(f, "{value}u"),
            // Rust prints the shortest decimal that parses to the same bits.
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

/// A shader: a file in `shaders/`, the files that its imports name, and its constants.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Shader {
    /// The path below `shaders/` without the extension, such as `conv2d/forward`.
    pub path: &'static str,
    /// (import name, file) pairs. An import that is not listed here is the path of a file below `shaders/`.
    pub imports: Vec<(&'static str, &'static str)>,
    /// Names of constants in the file or its imports, and their values.
    pub constants: Vec<(&'static str, Constant)>,
}

impl Shader {
    /// Returns the shader in `shaders/<path>.wgsl`, with the constants' values as in the file.
    pub fn new(path: &'static str) -> Self {
        Self { path, imports: Vec::new(), constants: Vec::new() }
    }

    /// Binds the import `name` to the file `path`.
    pub fn import(mut self, name: &'static str, path: &'static str) -> Self {
        self.imports.push((name, path));
        self
    }

    /// Replaces the value of the constant `name`.
    pub fn constant(mut self, name: &'static str, value: impl Into<Constant>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// Replaces the values of several constants.
    pub fn constants(mut self, values: &[(&'static str, usize)]) -> Self {
        self.constants.extend(values.iter().map(|&(name, value)| (name, value.into())));
        self
    }
}

/// A range of elements of a value or of scratch memory. It begins at a multiple of 256 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The index of the first element.
    pub start: usize,
    /// The index after that of the last element.
    pub end: usize,
}

/// The buffer that a dispatch binds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// The node's i-th input.
    Input(usize),
    /// The node's i-th output. For an output that aliases an input, bind only the output.
    Output(usize),
    /// A part of the node's i-th input, such as some members of a flat buffer, or some images.
    InputPart(usize, Span),
    /// A part of the node's i-th output.
    OutputPart(usize, Span),
    /// The launch's i-th scratch buffer.
    Scratch(usize),
    /// A part of the launch's i-th scratch buffer.
    ScratchPart(usize, Span),
    /// The uniform buffer of [`StepScalars`](crate::kernel::StepScalars).
    Step,
    /// A uniform buffer with this number. Launches that differ in the number share a pipeline; with a constant in the
    /// shader, each would have its own.
    Number(u32),
}

impl Binding {
    /// Returns a uniform buffer with a size, for a kernel that is launched with many sizes.
    pub fn size(size: usize) -> Self {
        Self::Number(u32::try_from(size).expect("sizes on the GPU fit 32 bits"))
    }

    /// Returns true for a uniform buffer, and false for a storage buffer.
    pub fn is_uniform(self) -> bool {
        matches!(self, Self::Step | Self::Number(_))
    }
}

/// One dispatch of a compute shader.
#[derive(Clone, PartialEq, Debug)]
pub struct Dispatch {
    /// The shader.
    pub shader: Shader,
    /// The buffers of `@group(0)`, in the order of `@binding`.
    pub bindings: Vec<Binding>,
    /// Workgroups along x, y, z; each at most 65,535.
    pub workgroups: [u32; 3],
}

/// The GPU work of a node: dispatches in order, and the scratch memory they share.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Launch {
    /// Sizes of the scratch buffers, in bytes. Their contents are lost after the node.
    pub scratch: Vec<u64>,
    /// The dispatches in order.
    pub dispatches: Vec<Dispatch>,
}

impl Launch {
    /// Returns a launch of one dispatch.
    pub fn one(shader: Shader, bindings: &[Binding], workgroups: [u32; 3]) -> Self {
        Self::default().then(shader, bindings, workgroups)
    }

    /// Appends a scratch buffer of `n` f32; the first is [`Binding::Scratch`]`(0)`.
    pub fn with_scratch(mut self, n: usize) -> Self {
        self.scratch.push(4 * n as u64);
        self
    }

    /// Appends a dispatch.
    pub fn then(mut self, shader: Shader, bindings: &[Binding], workgroups: [u32; 3]) -> Self {
        let bindings = bindings.to_vec();
        self.dispatches.push(Dispatch { shader, bindings, workgroups });
        self
    }

    /// Appends a dispatch that computes `total`, which has `n` elements. With `n_splits` > 1, every sum is split
    /// (split-K): the dispatch writes partial sums, `[n_splits, n]`, to scratch memory, and a second dispatch adds the
    /// partial sums in order to make `total`.
    pub fn split_k(
        self,
        shader: Shader,
        bindings: &[Binding],
        workgroups: [u32; 3],
        n_splits: usize,
        total: Binding,
        n: usize,
    ) -> Self {
        if n_splits == 1 {
            return self.then(shader, bindings, workgroups);
        }
        let scratch = self.scratch.len();
        let partials = |&to: &Binding| if to == total { Binding::Scratch(scratch) } else { to };
        let bindings: Vec<_> = bindings.iter().map(partials).collect();
        self.with_scratch(n_splits * n).then(shader, &bindings, workgroups).then(
            Shader::new("shared/sum_partials"),
            &[Binding::Scratch(scratch), total, Binding::size(n_splits)],
            grid(n),
        )
    }
}

/// The largest number of workgroups along one axis that WebGPU allows.
pub const MAX_WORKGROUPS: usize = 65_535;

/// Invocations per workgroup of every kernel with a one-dimensional grid; `shaders/shared/linear_index.wgsl`
/// has the same constant.
pub const WORKGROUP_SIZE: usize = 64;

/// Returns the number of workgroups along each axis: workgroups of [`WORKGROUP_SIZE`] invocations, with at least
/// `n_invocations` invocations in all. More than [`MAX_WORKGROUPS`] workgroups are folded into two axes.
/// `shaders/shared/linear_index.wgsl` computes the index of an invocation from both axes.
pub fn grid(n_invocations: usize) -> [u32; 3] {
    grid_of_workgroups(n_invocations.div_ceil(WORKGROUP_SIZE))
}

/// Returns the number of workgroups along each axis, for at least `n` workgroups in all. As in [`grid`], more than
/// [`MAX_WORKGROUPS`] workgroups are folded into two axes.
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
        // The number of elements of a ResNet's first ReLU, with 64 channels and batch size 512.
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
