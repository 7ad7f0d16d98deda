// The scalars of one training step. `StepScalars` in src/kernel/step.rs is the same struct.

struct StepScalars {
    seed: vec2<u32>,           // the key of the random generator, low word first
    epoch: u32,            // from 0
    step: u32,             // the number of this training step, from 1
    optimizer: vec4<f32>,  // the scalars of the optimizer, which depend on learning rate and step
    added_levels: u32,     // bit l is 1 if the partial sum of level l is added to the results of this shard
    stored_level: u32,     // bit l is 1 if the sum is then stored as the partial sum of level l
    padding: vec2<u32>,
}
