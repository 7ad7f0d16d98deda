// y[n, (c * H + h) * W + w] = x[n, h, w, c]: PyTorch's order of a flattened image
//
//   x [N, H, W, C],  y [N, C * H * W]
//
// With BACKWARD the copy goes the other way: d_x[n, h, w, c] = d_y[n, (c * H + h) * W + w]. One invocation copies one
// element. Grid: one axis of elements, folded into two (see shared/linear_index). Launched by src/ops/flatten.rs.

// #import shared/linear_index

const N: u32 = 1u;
const H: u32 = 1u;
const W: u32 = 1u;
const C: u32 = 1u;
const BACKWARD: bool = false;

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let nhwc = linear_index(workgroup, n_workgroups, local_ix);
    if nhwc < N * H * W * C {
        let c = nhwc % C;
        let w = nhwc / C % W;
        let h = nhwc / (C * W) % H;
        let n = nhwc / (C * W * H);
        let nchw = ((n * C + c) * H + h) * W + w;
        if BACKWARD {
            result[nhwc] = source[nchw];
        } else {
            result[nchw] = source[nhwc];
        }
    }
}
