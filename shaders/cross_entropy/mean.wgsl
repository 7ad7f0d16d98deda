// loss[0] = 1 / ROWS * sum over rows of losses[row]
//
//   losses [ROWS],  loss [1]
//
// Grid: one workgroup. Each invocation sums every 64th row; then invocation 0 adds the 64 sums in order, so
// the order of the sum is fixed. Launched by src/ops/cross_entropy.rs.

const ROWS: u32 = 1u;

@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read_write> loss: array<f32>;

var<workgroup> sh_sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    var sum = 0.0;
    for (var row = local_ix; row < ROWS; row += 64u) {
        sum += losses[row];
    }
    sh_sums[local_ix] = sum;
    workgroupBarrier();
    if local_ix == 0u {
        var total = 0.0;
        for (var i = 0u; i < 64u; i++) {
            total += sh_sums[i];
        }
        loss[0] = total / f32(ROWS);
    }
}
