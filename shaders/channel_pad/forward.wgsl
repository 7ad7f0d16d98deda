// y[row, c] = x[row, c - BEFORE] for BEFORE <= c < BEFORE + X_CHANNELS, otherwise 0
//
//   x [ROWS, X_CHANNELS],  y [ROWS, Y_CHANNELS]
//
// One invocation makes one element of y. Grid: one axis of y's elements, folded into two (see shared/linear_index).
// Launched by src/ops/channel_slice.rs.

// #import shared/linear_index

const ROWS: u32 = 1u;
const X_CHANNELS: u32 = 1u;
const Y_CHANNELS: u32 = 1u;
const BEFORE: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < ROWS * Y_CHANNELS {
        let row = ix / Y_CHANNELS;
        // In the BEFORE channels of zeros before those of x, `c` wraps around as u32 and fails the comparison with
        // X_CHANNELS.
        let c = ix % Y_CHANNELS - BEFORE;
        var value = 0.0;
        if c < X_CHANNELS {
            value = x[row * X_CHANNELS + c];
        }
        y[ix] = value;
    }
}
