// The bindings that the kernels of all optimizers share, and the test for an invocation without work. The optimizer's
// own state buffers have the bindings from 4.

// #import shared/step
// #import finite_check/control

const WEIGHT_DECAY: f32 = 0.0;
// The factor of the learning rate.
const LR_FACTOR: f32 = 1.0;

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
@group(0) @binding(1) var<storage, read> control: array<f32>;
@group(0) @binding(2) var<uniform> scalars: StepScalars;
@group(0) @binding(3) var<storage, read_write> parameters: array<f32>;

// Returns true if element ix must not be updated: it does not exist, or the not-finite flag is set.
fn is_skipped(ix: u32) -> bool {
    return ix >= arrayLength(&parameters) || control[NOT_FINITE] != 0.0;
}
