// boxes[n] = (top, left, height, width), the part of image n that random erasing sets to 0, [IMAGES, 4]
//
// An image is erased if a random word of 31 bits is below PROBABILITY. The box of another image has no pixels, and
// neither has the box of an image in which none of ten boxes is smaller than the image.
//
// One invocation draws for one image. Grid: one axis of images, folded into two (see shared/linear_index). Launched by
// src/ops/random_erasing.rs.

// #import shared/linear_index
// #import shared/random_box

const IMAGES: u32 = 1u;
const HEIGHT: u32 = 32u;
const WIDTH: u32 = 32u;
const PROBABILITY: u32 = 0u;

@group(0) @binding(0) var<storage, read> indices: array<u32>;
@group(0) @binding(1) var<storage, read_write> boxes: array<u32>;
@group(0) @binding(2) var<uniform> scalars: StepScalars;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let image = linear_index(workgroup, n_workgroups, local_ix);
    if image < IMAGES {
        let size = vec2<u32>(HEIGHT, WIDTH);
        // The attempts are at the positions before N_ATTEMPTS of the random stream.
        let counter = vec4<u32>(indices[image], scalars.epoch, STREAM, N_ATTEMPTS);
        var hole = vec4<u32>();
        if philox(counter, scalars.seed).x >> 1u < PROBABILITY {
            hole = random_box(indices[image], size, size - 1u, scalars);
        }
        for (var i = 0u; i < 4u; i++) {
            boxes[4u * image + i] = hole[i];
        }
    }
}
