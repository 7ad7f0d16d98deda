//! The scalars of a step, which the host writes before each.

use bytemuck::{Pod, Zeroable};

/// The scalars of one step, as the shaders see them: `shaders/shared/step.wgsl` declares the same
/// struct, and a test holds the two together.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Default, Debug, Pod, Zeroable)]
pub struct StepScalars {
    /// The run's seed, low word first: the key of the random generator.
    pub seed: [u32; 2],
    /// The epoch, from 0: part of the random generator's counter.
    pub epoch: u32,
    /// The number of this training step, from 1; 0 where nothing is trained.
    pub step: u32,
    /// Adam's learning rate over its first bias correction, lr / (1 - beta1^t).
    pub step_size: f32,
    /// The inverse root of Adam's second bias correction, 1 / sqrt(1 - beta2^t).
    pub inv_sqrt_bias_correction2: f32,
    /// Unused; keeps the size a multiple of 16 bytes.
    pub padding: [u32; 2],
}
