// y[row, c] = x[row, c - before] for before <= c < before + X_CHANNELS, otherwise 0
//
//   x [rows, X_CHANNELS],  y [rows, Y_CHANNELS]
//
// One invocation makes one element of y. Grid: one axis of y's elements, folded into two (see shared/linear_index).
// Launched by src/ops/channel_slice.rs.

// #import shared/linear_index

const X_CHANNELS: u32 = 1u;
const Y_CHANNELS: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> before: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&y) {
        let row = ix / Y_CHANNELS;
        // In the `before` channels of zeros before those of x, `c` wraps around as u32 and fails the comparison with
        // X_CHANNELS.
        let c = ix % Y_CHANNELS - before;
        var value = 0.0;
        if c < X_CHANNELS {
            value = x[row * X_CHANNELS + c];
        }
        y[ix] = value;
    }
}
