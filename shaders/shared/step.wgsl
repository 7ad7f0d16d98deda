// The scalars of one training step. `StepScalars` in src/kernel/step.rs is the same struct.

struct StepScalars {
    seed: vec2<u32>,                 // the key of the random generator, low word first
    epoch: u32,                      // from 0
    step: u32,                       // the number of this training step, from 1
    step_size: f32,                  // lr / (1 - beta1^t)
    inv_sqrt_bias_correction2: f32,  // 1 / sqrt(1 - beta2^t)
    padding: vec2<u32>,
}
