// erased[n, h, w, c] = 0 inside the box (top, left, height, width) of image n, images[n, h, w, c] outside
//
//   images, erased [IMAGES, HEIGHT, WIDTH, CHANNELS],  boxes [IMAGES, 4]
//
// One invocation computes one element. Grid: one axis of elements, folded into two (see shared/linear_index). Launched
// by src/ops/random_erasing.rs.

// #import shared/linear_index

const IMAGES: u32 = 1u;
const HEIGHT: u32 = 32u;
const WIDTH: u32 = 32u;
const CHANNELS: u32 = 3u;

@group(0) @binding(0) var<storage, read> images: array<f32>;
@group(0) @binding(1) var<storage, read> boxes: array<u32>;
@group(0) @binding(2) var<storage, read_write> erased: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < IMAGES * HEIGHT * WIDTH * CHANNELS {
        let pixel = ix / CHANNELS;
        let at = 4u * (pixel / (HEIGHT * WIDTH));
        // Above the box, or left of it, the u32 subtraction wraps around to a large number.
        let below = pixel / WIDTH % HEIGHT - boxes[at];
        let right = pixel % WIDTH - boxes[at + 1u];
        let is_inside = below < boxes[at + 2u] && right < boxes[at + 3u];
        erased[ix] = select(images[ix], 0.0, is_inside);
    }
}
