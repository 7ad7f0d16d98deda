// weight_sums[0] = sum over rows of weights[labels[row]]          a row whose label is not a class adds 0
// weight_sums[1] = sum over k of weights[k]
//
//   labels [ROWS],  weights [CLASSES],  weight_sums [2]
//
// Grid: one workgroup. Each invocation sums every 64th row and every 64th class; then invocation 0 adds the 64 sums in
// order, so the order of the sums is fixed. Launched by src/ops/cross_entropy.rs.

const ROWS: u32 = 1u;
const CLASSES: u32 = 1u;

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> weight_sums: array<f32>;

var<workgroup> sh_sums: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    var sums = vec2<f32>(0.0, 0.0);
    for (var row = local_ix; row < ROWS; row += 64u) {
        if labels[row] < CLASSES {
            sums.x += weights[labels[row]];
        }
    }
    for (var k = local_ix; k < CLASSES; k += 64u) {
        sums.y += weights[k];
    }
    sh_sums[local_ix] = sums;
    workgroupBarrier();
    if local_ix == 0u {
        var total = vec2<f32>(0.0, 0.0);
        for (var i = 0u; i < 64u; i++) {
            total += sh_sums[i];
        }
        weight_sums[0] = total.x;
        weight_sums[1] = total.y;
    }
}
