// transpose(A) * M * A for every tile: the 2x2 pixels of the result, from the 16 products of Winograd's algorithm
// (docs/ops/conv2d.md), M [16, N_TILES, CHANNELS].
//
//   transpose(A) =  1  1  1  0
//                   0  1 -1 -1
//
// CHANNELS is OUT_CHANNELS, rounded up to a multiple of four. The import `epilogue` stores the pixels of a tile, or their
// maximum for a fused pool. One invocation computes four channels of one tile. src/ops/conv2d/winograd_launch.rs
// launches this kernel.

// #import shared/linear_index
// #import conv2d/geometry
// #import conv2d/winograd_tiles
// #import rows
// #import epilogue

const OUT_H: u32 = 1u;
const OUT_W: u32 = 1u;
const OUT_CHANNELS: u32 = 1u;
const VECTORS: u32 = (OUT_CHANNELS + 3u) / 4u;

@group(0) @binding(0) var<storage, read> products: array<vec4<f32>>;

// The left and the right column of a row of M * A.
struct Pair {
    left: vec4<f32>,
    right: vec4<f32>,
}

fn times_a(ix: u32, i: u32) -> Pair {
    let at = 4u * i * N_TILES * VECTORS + ix;
    let a = products[at];
    let b = products[at + N_TILES * VECTORS];
    let c = products[at + 2u * N_TILES * VECTORS];
    let d = products[at + 3u * N_TILES * VECTORS];
    return Pair(a + b + c, b - c - d);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_TILES * VECTORS {
        return;
    }
    let r0 = times_a(ix, 0u);
    let r1 = times_a(ix, 1u);
    let r2 = times_a(ix, 2u);
    let r3 = times_a(ix, 3u);
    // The four pixels of a tile are four rows in the order of the import `rows`.
    store_rows(
        0u,
        ix / VECTORS * 4u,
        ix % VECTORS * 4u,
        r0.left + r1.left + r2.left,
        r0.right + r1.right + r2.right,
        r1.left - r2.left - r3.left,
        r1.right - r2.right - r3.right,
    );
}
