// d_b[partition, n, c] = sum over the partition's rows of d_y[n, row, c] * a[n, row, c]
//
//   d_y, a [N, ROWS, CHANNELS],  d_b [N_PARTITIONS, N, CHANNELS]
//
// ROWS is the number of pixels of a plane. With one partition, d_b is the gradient of b. Otherwise d_b has partial sums,
// and shared/sum_partials adds them in a fixed order. One invocation sums one channel of one partition of an image;
// neighbouring invocations read neighbouring channels. Grid: one axis of d_b's elements, folded into two (see
// shared/linear_index). Launched by src/ops/mul.rs.

// #import shared/linear_index

const N: u32 = 1u;
const ROWS: u32 = 1u;
const CHANNELS: u32 = 1u;
const ROWS_PER_PARTITION: u32 = 1u;

@group(0) @binding(0) var<storage, read> d_y: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_b: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= arrayLength(&d_b) {
        return;
    }
    let channel = ix % CHANNELS;
    let n = ix / CHANNELS % N;
    let first = ix / (CHANNELS * N) * ROWS_PER_PARTITION;
    let last = min(first + ROWS_PER_PARTITION, ROWS);
    var sum = 0.0;
    for (var row = first; row < last; row++) {
        let at = (n * ROWS + row) * CHANNELS + channel;
        sum += d_y[at] * a[at];
    }
    d_b[ix] = sum;
}
