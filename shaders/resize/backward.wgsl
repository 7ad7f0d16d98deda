// d_x[n, h, w, c] = sum of weight(oy, h) * weight(ox, w) * d_y[n, oy, ox, c] over the outputs (oy, ox) that read (h, w)
//
//   d_y [N, OH, OW, C],  d_x [N, H, W, C]
//
// One invocation gathers one element of d_x. The outputs that read it are a rectangle. Grid: one axis of d_x's
// elements, folded into two (see shared/linear_index). Launched by src/ops/resize.rs.

// #import shared/linear_index
// #import resize/axis

@group(0) @binding(0) var<storage, read> d_y: array<f32>;
@group(0) @binding(1) var<storage, read_write> d_x: array<f32>;

// Returns the first output position whose place is not before an input position.
fn first_at(axis: Axis, input: u32) -> u32 {
    if input == 0u {
        return 0u;
    }
    if axis.step == 0u {
        return axis.n_outputs;
    }
    let distance = max(input * axis.unit + axis.subtracted, axis.added) - axis.added;
    return min((distance + axis.step - 1u) / axis.step, axis.n_outputs);
}

// Returns the first output position that reads an input position, and the end after the last one.
fn readers(axis: Axis, input: u32) -> vec2<u32> {
    let first = select(max(input, 1u) - 1u, input, NEAREST);
    return vec2<u32>(first_at(axis, first), first_at(axis, input + 1u));
}

// Returns the weight of an input position in an output position that reads it.
fn weight(axis: Axis, output: u32, input: u32) -> f32 {
    if NEAREST {
        return 1.0;
    }
    let around = taps(axis, output);
    let low = select(0.0, 1.0 - around.weight, around.low == input);
    return low + select(0.0, around.weight, around.high == input);
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
    let oys = readers(rows(), at.y);
    let oxs = readers(columns(), at.z);
    var sum = 0.0;
    for (var oy = oys.x; oy < oys.y; oy++) {
        for (var ox = oxs.x; ox < oxs.y; ox++) {
            let factor = weight(rows(), oy, at.y) * weight(columns(), ox, at.z);
            sum += factor * d_y[((at.x * OH + oy) * OW + ox) * C + at.w];
        }
    }
    d_x[ix] = sum;
}
