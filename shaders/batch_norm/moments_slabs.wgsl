// Mean and sum of squared deviations of each channel over one slab of rows:
//
//   mean[slab, c] = 1/n sum of x[row, c],   m2[slab, c] = sum of (x[row, c] - mean[slab, c])^2
//
// In two passes over the slab, so that a mean far larger than the deviation costs no digits, as it
// does in E[x^2] - E[x]^2. partials holds [N_SLABS, 2, CHANNELS]: means, then m2.
// One invocation makes one channel of one slab. batch_norm/moments merges the slabs. src/ops/batch_norm/.

// #import shared/linear_index
// #import batch_norm/geometry

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_SLABS * CHANNELS {
        return;
    }
    let channel = ix % CHANNELS;
    let slab = ix / CHANNELS;
    let first = slab * ROWS_PER_SLAB;
    let last = min(first + ROWS_PER_SLAB, ROWS);
    // Deviations from the first row keep the mean's digits too.
    let shift = x[first * CHANNELS + channel];
    var sum = 0.0;
    for (var row = first; row < last; row++) {
        sum += x[row * CHANNELS + channel] - shift;
    }
    let mean = shift + sum / f32(last - first);
    var m2 = 0.0;
    for (var row = first; row < last; row++) {
        let deviation = x[row * CHANNELS + channel] - mean;
        m2 += deviation * deviation;
    }
    partials[2u * slab * CHANNELS + channel] = mean;
    partials[(2u * slab + 1u) * CHANNELS + channel] = m2;
}
