//! The scalars of a step, which the host writes before each step.

use bytemuck::{Pod, Zeroable};

/// The scalars of one step, in the layout of the shaders. `shaders/shared/step.wgsl` declares the same
/// struct, and tests/shaders compares the two.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Default, Debug, Pod, Zeroable)]
pub struct StepScalars {
    /// The run's seed, the key of the random generator; low word first.
    pub seed: [u32; 2],
    /// The epoch, from 0; one word of the random generator's counter.
    pub epoch: u32,
    /// The number of the training step, from 1; 0 outside training.
    pub step: u32,
    /// The optimizer's scalars, which depend on the learning rate and on the number of the step; see
    /// [`Optimizer::scalars`](crate::ops::optimizer::Optimizer::scalars).
    pub optimizer: [f32; 4],
    /// The partial sums that are added to the results of the present shard: bit l is 1 for the sum of level l. 0 in a step
    /// without shards. See [`partial_sum`](crate::ops::partial_sum).
    pub added_levels: u32,
    /// The level at which the result is stored as a partial sum: bit l is 1 for level l. 0 if it is not stored.
    pub stored_level: u32,
    /// Zeros. The size of the struct is a multiple of 16 bytes, as WGSL requires it of a uniform.
    pub padding: [u32; 2],
}
