// metrics[NOT_FINITE] = STOPPED if any slab found something; otherwise it stays as it is: the flag is
// sticky.
//
// With SKIP it stands for this step alone, SKIPPED or 0, and metrics[N_SKIPPED] counts; unless it is
// STOPPED already, which the host does to let steps run without an effect.
//
// One workgroup: each invocation looks at every 64th slab, then the first one at the 64 answers.
// src/ops/finite_check.rs launches it.

// #import metrics/layout

const N_SLABS: u32 = 1u;
const SKIP: bool = false;

@group(0) @binding(0) var<storage, read> partials: array<u32>;
@group(0) @binding(1) var<storage, read_write> metrics: array<f32>;

var<workgroup> sh_found: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    var found = 0u;
    for (var slab = local_ix; slab < N_SLABS; slab += 64u) {
        found |= partials[slab];
    }
    sh_found[local_ix] = found;
    workgroupBarrier();
    if local_ix == 0u {
        for (var i = 1u; i < 64u; i++) {
            found |= sh_found[i];
        }
        if SKIP && metrics[NOT_FINITE] != STOPPED {
            metrics[NOT_FINITE] = select(0.0, SKIPPED, found != 0u);
            metrics[N_SKIPPED] += f32(found);
        } else if found != 0u {
            metrics[NOT_FINITE] = STOPPED;
        }
    }
}
