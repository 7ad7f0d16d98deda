// Convolution and the max pool after it in one kernel: the tensor between them is never stored.
//
//   y[n, py, px, co]     = max over (qy, qx) of conv[n, py * POOL_H + qy, px * POOL_W + qx, co]
//   index[n, py, px, co] = the first qy * POOL_W + qx with that maximum
//
// One invocation computes one element of y and of index. src/ops/conv2d/forward.rs launches this kernel.

// #import shared/linear_index
// #import shared/greater_or_nan
// #import conv2d/convolve_naive

@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> index: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N * POOLED_H * POOLED_W * CO {
        return;
    }
    let co = ix % CO;
    let px = ix / CO % POOLED_W;
    let py = ix / (CO * POOLED_W) % POOLED_H;
    let n = ix / (CO * POOLED_W * POOLED_H);
    var largest = convolve(n, py * POOL_H, px * POOL_W, co);
    var largest_at = 0u;
    for (var at = 1u; at < POOL_H * POOL_W; at++) {
        let value = convolve(n, py * POOL_H + at / POOL_W, px * POOL_W + at % POOL_W, co);
        if greater_or_nan(value, largest) {
            largest = value;
            largest_at = at;
        }
    }
    y[ix] = largest;
    index[ix] = largest_at;
}
