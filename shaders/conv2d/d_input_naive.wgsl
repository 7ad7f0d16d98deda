// The gradient of a convolution's input:
//
//   d_x[n, h, w, ci] = sum over ky, kx, co of d_out[n, oy, ox, co] * weight[ky, kx, ci, co]
//
// Here oy and ox solve oy * stride + ky - padding = h and ox * stride + kx - padding = w, and co runs over the output
// channels of ci's group. So the sum covers every output of the forward pass that depends on x[n, h, w, ci]. One
// invocation computes one element of d_x. src/ops/conv2d/d_input.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/geometry
// #import d_output

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N * H * W * CI {
        return;
    }
    let ci = ix % CI;
    let w = ix / CI % W;
    let h = ix / (CI * W) % H;
    let n = ix / (CI * W * H);
    let ci_per_group = CI / GROUPS;
    let co_per_group = CO / GROUPS;
    let first_co = ci / ci_per_group * co_per_group;
    var sum = 0.0;
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            // Below zero, `row` and `column` wrap around as u32 and fail the comparisons with OH and OW.
            let row = h + PADDING_H - ky;
            let column = w + PADDING_W - kx;
            if row % STRIDE_H != 0u || column % STRIDE_W != 0u
                || row / STRIDE_H >= OH || column / STRIDE_W >= OW {
                continue;
            }
            for (var co = first_co; co < first_co + co_per_group; co++) {
                let weight_ix = ((ky * KERNEL_W + kx) * ci_per_group + ci % ci_per_group) * CO + co;
                sum += d_output(n, row / STRIDE_H, column / STRIDE_W, co) * weight[weight_ix];
            }
        }
    }
    d_x[ix] = sum;
}
