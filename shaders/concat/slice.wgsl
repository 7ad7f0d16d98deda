// y[row, c] = x[row, FIRST + c]
//
//   x [ROWS, X_CHANNELS],  y [ROWS, CHANNELS]
//
// The gradient of an input of a concatenation is a slice of the output's gradient. One invocation copies one element of
// y. Grid: one axis of y's elements, folded into two (see shared/linear_index). Launched by src/ops/concat.rs.

// #import shared/linear_index

const ROWS: u32 = 1u;
const X_CHANNELS: u32 = 1u;
const FIRST: u32 = 0u;
const CHANNELS: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < ROWS * CHANNELS {
        y[ix] = x[ix / CHANNELS * X_CHANNELS + FIRST + ix % CHANNELS];
    }
}
