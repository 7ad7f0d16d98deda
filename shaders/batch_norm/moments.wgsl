// Merges the slabs' moments (Chan, Golub and LeVeque 1979):
//
//   n = n_a + n_b,  delta = mean_b - mean_a,
//   mean = mean_a + delta n_b / n,  m2 = m2_a + m2_b + delta^2 n_a n_b / n
//
// and makes of them what the layer needs: the mean, the unbiased variance m2 / (n - 1) that goes into the
// running one, and 1 / sqrt(m2 / n + EPS), which the import `emit` stores. One invocation makes one channel. src/ops/batch_norm/.

// #import shared/linear_index
// #import batch_norm/geometry
// #import emit

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> mean_of: array<f32>;
@group(0) @binding(2) var<storage, read_write> unbiased_variance: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let channel = linear_index(workgroup, n_workgroups, local_ix);
    if channel >= CHANNELS {
        return;
    }
    var mean = partials[channel];
    var m2 = partials[N_SLABS * CHANNELS + channel];
    var n = f32(min(ROWS_PER_SLAB, ROWS));
    for (var slab = 1u; slab < N_SLABS; slab++) {
        let n_slab = f32(min(ROWS_PER_SLAB, ROWS - slab * ROWS_PER_SLAB));
        let n_both = n + n_slab;
        let delta = partials[slab * CHANNELS + channel] - mean;
        mean += delta * (n_slab / n_both);
        m2 += partials[(N_SLABS + slab) * CHANNELS + channel] + delta * delta * (n * n_slab / n_both);
        n = n_both;
    }
    mean_of[channel] = mean;
    // One row has no unbiased variance; PyTorch refuses it, and so does the shape rule.
    unbiased_variance[channel] = m2 / (n - 1.0);
    emit(channel, mean, 1.0 / sqrt(m2 / n + EPS));
}
