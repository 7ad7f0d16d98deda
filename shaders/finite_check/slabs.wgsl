// partials[FIRST + slab] = 1 if any number of the slab is infinite or NaN, else 0
//
// Read off the bits, since a shader may be compiled as if there were no NaN: an exponent of all ones is
// either. One invocation looks at every N_SLABS-th element, so that neighbours read side by side. Each
// buffer that is checked has a dispatch of its own, and its own part of the partials, from FIRST on.
// src/ops/finite_check.rs launches it.

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
