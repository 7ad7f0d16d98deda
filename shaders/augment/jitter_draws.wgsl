// draws[n] = (brightness, contrast, saturation, order), the random numbers of image n's colour jitter,
// [IMAGES, 4]
//
// Each factor is in LEAST..LEAST + N, in units of 1 / 2^14. The order is the number of a permutation, in 0..6. The
// draws are a function of the run's seed, the epoch and the image's number in the dataset. The counter's third word is
// 1 here and 0 in augment/draws.wgsl, so the two random streams differ.
//
// One invocation draws for one image. Grid: one axis of images, folded into two (see shared/linear_index). Launched by
// src/ops/augment/jitter.rs.

// #import shared/linear_index
// #import shared/philox
// #import shared/step

const IMAGES: u32 = 1u;
const LEAST_BRIGHTNESS: u32 = 16384u;
const N_BRIGHTNESS: u32 = 1u;
const LEAST_CONTRAST: u32 = 16384u;
const N_CONTRAST: u32 = 1u;
const LEAST_SATURATION: u32 = 16384u;
const N_SATURATION: u32 = 1u;

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
        let random = philox(vec4<u32>(indices[image], scalars.epoch, 1u, 0u), scalars.seed);
        draws[4u * image] = LEAST_BRIGHTNESS + multiply_high(random.x, N_BRIGHTNESS);
        draws[4u * image + 1u] = LEAST_CONTRAST + multiply_high(random.y, N_CONTRAST);
        draws[4u * image + 2u] = LEAST_SATURATION + multiply_high(random.z, N_SATURATION);
        draws[4u * image + 3u] = multiply_high(random.w, 6u);
    }
}
