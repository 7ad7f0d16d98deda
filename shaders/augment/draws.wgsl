// draws[n] = (crop y, crop x, flip, cutout y, cutout x), the random numbers of image n, [IMAGES, 5]
//
// The crop's offsets are in 0..=2 * PADDING, the flip in 0..=1, the cutout's centre in 0..HEIGHT and 0..WIDTH. The
// draws are a function of the run's seed, the epoch and the image's number in the dataset, not of the batch.
//
// One invocation draws for one image. Grid: one axis of images, folded into two (see shared/linear_index). Launched by
// src/ops/augment/draws.rs.

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
        // For a random word, the upper 32 bits of word * n are uniform in 0..n.
        draws[5u * image] = multiply_high(random.x, 2u * PADDING + 1u);
        draws[5u * image + 1u] = multiply_high(random.y, 2u * PADDING + 1u);
        draws[5u * image + 2u] = random.z & 1u;
        draws[5u * image + 3u] = multiply_high(random.z, HEIGHT);
        draws[5u * image + 4u] = multiply_high(random.w, WIDTH);
    }
}
