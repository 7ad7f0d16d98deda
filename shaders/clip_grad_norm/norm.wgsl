// norm[0] = sqrt(sum of all partials), the L2 norm of all gradients together
//
//   partials [N_PARTIALS],  norm [1]
//
// Grid: one workgroup. Each invocation sums every 64th partial sum; then invocation 0 adds the 64 sums in
// order, so the order of the sum is fixed. Launched by src/ops/clip_grad_norm.rs.

const N_PARTIALS: u32 = 1u;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> norm: array<f32>;

var<workgroup> sh_sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    var sum = 0.0;
    for (var partial = local_ix; partial < N_PARTIALS; partial += 64u) {
        sum += partials[partial];
    }
    sh_sums[local_ix] = sum;
    workgroupBarrier();
    if local_ix == 0u {
        var total = 0.0;
        for (var i = 0u; i < 64u; i++) {
            total += sh_sums[i];
        }
        norm[0] = sqrt(total);
    }
}
