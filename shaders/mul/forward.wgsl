// y[n, row, c] = a[n, row, c] * b[n, c]
//
//   a [N, ROWS, CHANNELS],  b [N, CHANNELS],  y [N, ROWS, CHANNELS]
//
// ROWS is the number of pixels of a plane. If a and b have the same shape, ROWS and CHANNELS are 1. One invocation
// computes one element of y. Grid: one axis of y's elements, folded into two (see shared/linear_index). Launched by
// src/ops/mul.rs.

// #import shared/linear_index

const ROWS: u32 = 1u;
const CHANNELS: u32 = 1u;

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&y) {
        y[ix] = a[ix] * b[ix / (ROWS * CHANNELS) * CHANNELS + ix % CHANNELS];
    }
}
