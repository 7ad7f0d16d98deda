// total[i] = sum over p of partials[p, i]
//
//   partials [n_partials, length of total]
//
// This is the second half of a long sum. The first half computes partial sums in parallel; this kernel adds the partial
// sums, always in the same order. One invocation computes one total. Grid: one axis of totals, folded into two (see
// shared/linear_index).

// #import shared/linear_index

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> total: array<f32>;
@group(0) @binding(2) var<uniform> n_partials: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    let n_totals = arrayLength(&total);
    if ix < n_totals {
        var sum = 0.0;
        for (var partial = 0u; partial < n_partials; partial++) {
            sum += partials[partial * n_totals + ix];
        }
        total[ix] = sum;
    }
}
