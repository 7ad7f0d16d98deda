// y[row, c] = a[row, c] for c < A_CHANNELS, otherwise b[row, c - A_CHANNELS]
//
//   a [ROWS, A_CHANNELS],  b [ROWS, B_CHANNELS],  y [ROWS, A_CHANNELS + B_CHANNELS]
//
// One invocation copies one element of y. Grid: one axis of y's elements, folded into two (see shared/linear_index).
// Launched by src/ops/concat.rs.

// #import shared/linear_index

const ROWS: u32 = 1u;
const A_CHANNELS: u32 = 1u;
const B_CHANNELS: u32 = 1u;

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
    if ix < ROWS * (A_CHANNELS + B_CHANNELS) {
        let row = ix / (A_CHANNELS + B_CHANNELS);
        let c = ix % (A_CHANNELS + B_CHANNELS);
        if c < A_CHANNELS {
            y[ix] = a[row * A_CHANNELS + c];
        } else {
            y[ix] = b[row * B_CHANNELS + c - A_CHANNELS];
        }
    }
}
