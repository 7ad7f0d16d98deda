// d_weight = transpose(G) * sum * G for every pair of channels, [3, 3, CI, CO]. The sums are the 16 products of Winograd's
// algorithm (docs/ops/conv2d.md) over each part of the tiles, [N_SPLITS, 16, CI, COLUMNS], and are added in this order.
//
//   transpose(G) =  1  1/2  1/2  0
//                   0  1/2 -1/2  0
//                   0  1/2  1/2  1
//
// COLUMNS is CO, rounded up to a multiple of four. One invocation computes the nine weights of one pair of channels.
// src/ops/conv2d/winograd_launch.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/geometry
// #import trip_count

const N_SPLITS: u32 = 1u;
const COLUMNS: u32 = (CO + 3u) / 4u * 4u;

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> d_weight: array<f32>;

// Returns row i of one sum.
fn row_of(at: u32, i: u32) -> vec4<f32> {
    let size = CI * COLUMNS;
    let ix = at + 4u * i * size;
    return vec4<f32>(sums[ix], sums[ix + size], sums[ix + 2u * size], sums[ix + 3u * size]);
}

// Stores row ky of the gradient: the product of a row of transpose(G) * sum and G.
fn store_row(ix: u32, ky: u32, row: vec4<f32>) {
    let at = 3u * ky * CI * CO + ix;
    d_weight[at] = row.x + 0.5 * (row.y + row.z);
    d_weight[at + CI * CO] = 0.5 * (row.y - row.z);
    d_weight[at + 2u * CI * CO] = 0.5 * (row.y + row.z) + row.w;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= CI * CO {
        return;
    }
    let first = ix / CO * COLUMNS + ix % CO;
    var r0 = vec4<f32>();
    var r1 = vec4<f32>();
    var r2 = vec4<f32>();
    var r3 = vec4<f32>();
    let n_splits = trip_count(N_SPLITS, n_workgroups);
    for (var split = 0u; split < n_splits; split++) {
        let at = split * 16u * CI * COLUMNS + first;
        r0 += row_of(at, 0u);
        r1 += row_of(at, 1u);
        r2 += row_of(at, 2u);
        r3 += row_of(at, 3u);
    }
    store_row(ix, 0u, r0 + 0.5 * (r1 + r2));
    store_row(ix, 1u, 0.5 * (r1 - r2));
    store_row(ix, 2u, 0.5 * (r1 + r2) + r3);
}
