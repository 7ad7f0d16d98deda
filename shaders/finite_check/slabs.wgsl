// partials[FIRST + slab] = 1 if any of numbers[slab], numbers[slab + N_SLABS], ... is infinite or NaN, else 0
//
// The kernel tests the bits, because a shader compiler may assume that NaN does not occur: infinity and NaN
// have an exponent of all ones. The stride lets neighbouring invocations read neighbouring elements. Each
// checked buffer has its own dispatch and its own range of the partials, from FIRST on.
//
// One invocation checks one slab. Grid: one axis of slabs, folded. Launched by src/ops/finite_check.rs.

// #import shared/linear_index

const FIRST: u32 = 0u;
const N_SLABS: u32 = 1u;
const EXPONENT: u32 = 0x7f800000u;

@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> partials: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let slab = linear_index(workgroup, n_workgroups, local_ix);
    if slab >= N_SLABS {
        return;
    }
    var found = 0u;
    for (var ix = slab; ix < arrayLength(&numbers); ix += N_SLABS) {
        found |= u32((numbers[ix] & EXPONENT) == EXPONENT);
    }
    partials[FIRST + slab] = found;
}
