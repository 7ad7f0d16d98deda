//! Options for opening a device.

use super::gpu::ShaderLibrary;
use crate::kernel::{Kernels, Tile};

/// Options for opening a device.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The set of kernels that a GPU runs.
    pub kernels: Kernels,
    /// The limit on a program's planned memory, in bytes; checked before anything is allocated.
    pub memory_limit: Option<u64>,
    /// The number of the adapter among those that `--device` selects, from 0; more than there are begins with the first again.
    /// Ranks of one machine choose different adapters by it.
    pub nth_adapter: usize,
    /// The tile of every matrix product on a GPU, for tests and benchmarks; None if the device chooses the tiles.
    pub tile: Option<Tile>,
    /// The largest part of a flat buffer of the state that one dispatch on a GPU binds, in bytes, for tests; None for
    /// the size of the adapter's largest binding.
    pub max_segment: Option<u64>,
    /// An upper limit on the number of invocations of a subgroup that exchange values which they have read, for tests;
    /// None for no limit other than the subgroup size.
    pub max_sharing: Option<usize>,
    /// True if shaders are compiled with runtime checks, which clamp indices and count the iterations of loops. Debug
    /// builds always have these checks.
    pub checked: bool,
    /// The function that receives a line of text for each kernel that is measured for the first time, and an empty text
    /// after the last of these kernels.
    pub on_progress: Option<fn(&str)>,
    /// The library that shaders are loaded from. Tests use a library in which some files are broken.
    pub shaders: ShaderLibrary,
}
