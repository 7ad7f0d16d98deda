// control[NOT_FINITE] = STOPPED if any partial result has found a number that is not finite
//
//   partials [N_PARTIALS]
//
// Otherwise the flag keeps its value. With SKIP, the kernel computes the flag anew in every step: SKIPPED if a number
// is not finite, otherwise 0. A flag of STOPPED stays STOPPED even with SKIP, because the host sets STOPPED to run
// steps that change no state.
//
// Grid: one workgroup. Each invocation reads every 64th partial result; then invocation 0 combines the 64 results.
// Launched by src/ops/finite_check.rs.

// #import finite_check/control

const N_PARTIALS: u32 = 1u;
const SKIP: bool = false;

@group(0) @binding(0) var<storage, read> partials: array<u32>;
@group(0) @binding(1) var<storage, read_write> control: array<f32>;

var<workgroup> sh_found: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    var found = 0u;
    for (var partial = local_ix; partial < N_PARTIALS; partial += 64u) {
        found |= partials[partial];
    }
    sh_found[local_ix] = found;
    workgroupBarrier();
    if local_ix == 0u {
        for (var i = 1u; i < 64u; i++) {
            found |= sh_found[i];
        }
        if SKIP && control[NOT_FINITE] != STOPPED {
            control[NOT_FINITE] = select(0.0, SKIPPED, found != 0u);
        } else if found != 0u {
            control[NOT_FINITE] = STOPPED;
        }
    }
}
