// The gradient of a convolution's weight:
//
//   d_weight[ky, kx, ci, co] = sum over n, oy, ox of
//                              x[n, oy * stride + ky - padding, ox * stride + kx - padding, ci] * d_out[n, oy, ox, co]
//
// One invocation computes the gradient of one weight. src/ops/conv2d/d_weight.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/geometry
// #import d_output

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_weight: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    let ci_per_group = CI / GROUPS;
    if ix >= KERNEL_H * KERNEL_W * ci_per_group * CO {
        return;
    }
    let co = ix % CO;
    let ci = ix / CO % ci_per_group + co / (CO / GROUPS) * ci_per_group;
    let kx = ix / (CO * ci_per_group) % KERNEL_W;
    let ky = ix / (CO * ci_per_group * KERNEL_W);
    var sum = 0.0;
    for (var n = 0u; n < N; n++) {
        for (var oy = 0u; oy < OH; oy++) {
            for (var ox = 0u; ox < OW; ox++) {
                let start = input_start(n, oy, ox, ky, kx);
                if start != OUTSIDE {
                    sum += x[start + ci] * d_output(n, oy, ox, co);
                }
            }
        }
    }
    d_weight[ix] = sum;
}
