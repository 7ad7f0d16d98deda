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
    /// Adam's learning rate divided by its first bias correction: lr / (1 - beta1^t).
    pub step_size: f32,
    /// The inverse square root of Adam's second bias correction: 1 / sqrt(1 - beta2^t).
    pub inv_sqrt_bias_correction2: f32,
    /// Unused; makes the size a multiple of 16 bytes.
    pub padding: [u32; 2],
}
