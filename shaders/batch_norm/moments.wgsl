// Merges the moments of the slabs of a group (Chan, Golub and LeVeque 1979):
//
//   n = n_a + n_b,  delta = mean_b - mean_a,
//   mean = mean_a + delta n_b / n,  m2 = m2_a + m2_b + delta^2 n_a n_b / n
//
// Where there are many slabs this runs more than once, so that no invocation merges more than a few dozen: into
// groups, which are the slabs of the run that follows. The import `emit` takes what comes out. One invocation makes
// one channel of one group. src/ops/batch_norm/forward.rs launches it.

// #import shared/linear_index
// #import batch_norm/geometry
// #import emit

@group(0) @binding(0) var<storage, read> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_GROUPS * CHANNELS {
        return;
    }
    let channel = ix % CHANNELS;
    let first = ix / CHANNELS * SLABS_PER_GROUP;
    let last = min(first + SLABS_PER_GROUP, N_SLABS);
    var mean = partials[2u * first * CHANNELS + channel];
    var m2 = partials[(2u * first + 1u) * CHANNELS + channel];
    var n = f32(min(ROWS_PER_SLAB, ROWS - first * ROWS_PER_SLAB));
    for (var slab = first + 1u; slab < last; slab++) {
        let n_slab = f32(min(ROWS_PER_SLAB, ROWS - slab * ROWS_PER_SLAB));
        let n_both = n + n_slab;
        let delta = partials[2u * slab * CHANNELS + channel] - mean;
        mean += delta * (n_slab / n_both);
        m2 += partials[(2u * slab + 1u) * CHANNELS + channel] + delta * delta * (n * n_slab / n_both);
        n = n_both;
    }
    emit(ix / CHANNELS, channel, n, mean, m2);
}
