// partials[FIRST + partial] = 1 if any of numbers[partial], numbers[partial + N_PARTIALS], ... is infinite or NaN, else 0
//
// Infinity and NaN have an exponent of all ones. The kernel tests these bits, because a shader compiler may assume that
// no number is NaN. The stride lets neighbouring invocations read neighbouring elements. Each checked buffer has its
// own dispatch and its own range of the partials, from FIRST on.
//
// One invocation computes one partial result. Grid: one axis of partial results, folded into two (see
// shared/linear_index). Launched by src/ops/finite_check.rs.

// #import shared/linear_index

const FIRST: u32 = 0u;
const N_PARTIALS: u32 = 1u;
const EXPONENT: u32 = 0x7f800000u;

@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> partials: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let partial = linear_index(workgroup, n_workgroups, local_ix);
    if partial >= N_PARTIALS {
        return;
    }
    var found = 0u;
    for (var ix = partial; ix < arrayLength(&numbers); ix += N_PARTIALS) {
        found |= u32((numbers[ix] & EXPONENT) == EXPONENT);
    }
    partials[FIRST + partial] = found;
}
