// boxes[n] = (top, left, height, width), the part of picture n that a random resized crop shows, [IMAGES, 4]
//
// sizes[n] = (rows, columns) of picture n. If none of ten boxes fits the picture, the box is the largest one in its
// middle whose ratio of width to height is from LEAST_RATIO to MOST_RATIO, in units of 1 / 2^14.
//
// One invocation draws for one image. Grid: one axis of images, folded into two (see shared/linear_index). Launched by
// src/ops/random_resized_crop/boxes.rs.

// #import shared/linear_index
// #import shared/random_box

const IMAGES: u32 = 1u;
const LEAST_RATIO: u32 = 12288u;
const MOST_RATIO: u32 = 21845u;

@group(0) @binding(0) var<storage, read> indices: array<u32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read_write> boxes: array<u32>;
@group(0) @binding(3) var<uniform> scalars: StepScalars;

// Returns (top, left, height, width) of the box in the middle.
fn central_box(size: vec2<u32>) -> vec4<u32> {
    var sides = size;
    if size.y << 14u < size.x * LEAST_RATIO {
        sides.x = max(((size.y << 15u) + LEAST_RATIO) / (2u * LEAST_RATIO), 1u);
    } else if size.y << 14u > size.x * MOST_RATIO {
        sides.y = max((size.x * MOST_RATIO + 8192u) >> 14u, 1u);
    }
    return vec4<u32>((size - sides) / 2u, sides);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let image = linear_index(workgroup, n_workgroups, local_ix);
    if image < IMAGES {
        let size = vec2<u32>(sizes[2u * image], sizes[2u * image + 1u]);
        var part = random_box(indices[image], size, size, scalars);
        if part.z == 0u {
            part = central_box(size);
        }
        for (var i = 0u; i < 4u; i++) {
            boxes[4u * image + i] = part[i];
        }
    }
}
