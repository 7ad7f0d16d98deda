// exact[outer, row, group, column] = padded[outer, row, group, column], without the padding of pad_groups.wgsl
//
// padded_groups.wgsl has the shapes. src/ops/conv2d/uneven.rs launches this kernel.

// #import conv2d/padded_groups

@group(0) @binding(0) var<storage, read> padded: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> exact: array<f32>;
// The index in `exact` of the tensor's first element: a tensor of some images begins at its first image.
@group(0) @binding(2) var<uniform> first: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let vector = linear_index(workgroup, n_workgroups, local_ix);
    if vector < arrayLength(&padded) {
        let place = exact_of(vector);
        let ix = first + place.x;
        let values = padded[vector];
        if place.y > 0u { exact[ix] = values.x; }
        if place.y > 1u { exact[ix + 1u] = values.y; }
        if place.y > 2u { exact[ix + 2u] = values.z; }
        if place.y > 3u { exact[ix + 3u] = values.w; }
    }
}
