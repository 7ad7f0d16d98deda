// d_x[n, h, w, c] = 1/16 * sum of weight(oy, h) * weight(ox, w) * d_y[n, oy, ox, c]
//                   over the windows (oy, ox) that contain x[n, h, w, c]
//
//   d_y [N, OH, OW, C],  d_x [N, H, W, C]
//
// One invocation gathers one element of d_x from its windows, at most four. Grid: one axis of d_x's elements, folded
// into two (see shared/linear_index). Launched by src/ops/blur_pool.rs.

// #import shared/linear_index
// #import shared/pool_geometry
// #import blur_pool/source

@group(0) @binding(0) var<storage, read> d_y: array<f32>;
@group(0) @binding(1) var<storage, read_write> d_x: array<f32>;

// Returns four times the weight of a position in a window along one axis. A position beside the border can be under two
// taps of a window: at its own place and as a mirror image.
fn weight(window: u32, position: u32, extent: u32) -> f32 {
    var sum = 0.0;
    for (var tap = 0u; tap < 3u; tap++) {
        if source(window, tap, extent) == position {
            sum += select(1.0, 2.0, tap == 1u);
        }
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N * H * W * C {
        return;
    }
    let at = unflatten(ix, H, W);
    var sum = 0.0;
    // The windows that contain row h are h / 2 and, for an odd h, the window after it.
    for (var oy = at.y / 2u; oy < min((at.y + 1u) / 2u + 1u, OH); oy++) {
        for (var ox = at.z / 2u; ox < min((at.z + 1u) / 2u + 1u, OW); ox++) {
            let factor = weight(oy, at.y, H) * weight(ox, at.z, W) / 16.0;
            sum += factor * d_y[((at.x * OH + oy) * OW + ox) * C + at.w];
        }
    }
    d_x[ix] = sum;
}
