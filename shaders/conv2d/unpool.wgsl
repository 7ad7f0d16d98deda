// Computes d_out [N, OH, OW, CO], the gradient of a convolution's output before a fused max pool. In each window of the
// pool, the pixel of the saved index gets d_y, the gradient of the pool's output. The other pixels get 0.
//
// One invocation writes one channel of one window. If the windows do not cover the last rows or columns, these pixels
// form cut-off windows and get zeros. src/ops/conv2d/d_output.rs launches this kernel.

// #import conv2d/geometry
// #import shared/linear_index

@group(0) @binding(0) var<storage, read> d_y: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> d_out: array<f32>;

// Windows along each axis, with the cut-off windows at the edge.
const WINDOWS_H: u32 = (OH + POOL_H - 1u) / POOL_H;
const WINDOWS_W: u32 = (OW + POOL_W - 1u) / POOL_W;

// A position that no pixel of a window has.
const NOWHERE: u32 = POOL_H * POOL_W;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let i = linear_index(workgroup, n_workgroups, local_ix);
    if i >= N * WINDOWS_H * WINDOWS_W * CO {
        return;
    }
    let co = i % CO;
    let px = i / CO % WINDOWS_W;
    let py = i / (CO * WINDOWS_W) % WINDOWS_H;
    let n = i / (CO * WINDOWS_W * WINDOWS_H);
    var value = 0.0;
    var at = NOWHERE;
    if py < POOLED_H && px < POOLED_W {
        let pooled = ((n * POOLED_H + py) * POOLED_W + px) * CO + co;
        value = d_y[pooled];
        at = index[pooled];
    }
    for (var y = 0u; y < POOL_H; y++) {
        for (var x = 0u; x < POOL_W; x++) {
            let oy = py * POOL_H + y;
            let ox = px * POOL_W + x;
            if oy < OH && ox < OW {
                let here = at == y * POOL_W + x;
                d_out[((n * OH + oy) * OW + ox) * CO + co] = select(0.0, value, here);
            }
        }
    }
}
