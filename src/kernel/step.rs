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
}
