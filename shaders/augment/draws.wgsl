// The random draws of every image, from the run's seed, the epoch and the image's number: crop offset
// (y, x) in 0..=2 * PADDING, flip in 0..=1, centre of the cutout (y, x) in 0..HEIGHT, 0..WIDTH.
//
// They do not depend on the batch an image falls into. One invocation draws for one image.
// src/ops/augment/draws.rs launches it.

// #import shared/linear_index
// #import shared/philox
// #import shared/step

const IMAGES: u32 = 1u;
const PADDING: u32 = 4u;
const HEIGHT: u32 = 32u;
const WIDTH: u32 = 32u;

@group(0) @binding(0) var<storage, read> indices: array<u32>;
@group(0) @binding(1) var<storage, read_write> draws: array<u32>;
@group(0) @binding(2) var<uniform> scalars: StepScalars;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let image = linear_index(workgroup, n_workgroups, local_ix);
    if image < IMAGES {
        let random = philox(vec4<u32>(indices[image], scalars.epoch, 0u, 0u), scalars.seed);
        // A word times n, shifted down by 32 bits, is uniform below n.
        draws[5u * image] = multiply_high(random.x, 2u * PADDING + 1u);
        draws[5u * image + 1u] = multiply_high(random.y, 2u * PADDING + 1u);
        draws[5u * image + 2u] = random.z & 1u;
        draws[5u * image + 3u] = multiply_high(random.z, HEIGHT);
        draws[5u * image + 4u] = multiply_high(random.w, WIDTH);
    }
}
