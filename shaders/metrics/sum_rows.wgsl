// The sums over the rows of a batch: losses, correct predictions, and rows whose label is not IGNORED.
//
//   losses, correct, labels [ROWS]
//
// One workgroup. Each invocation sums every 64th row; then invocation 0 adds the 64 sums in order, so the order of the
// sum is fixed.

const ROWS: u32 = 1u;
const IGNORED: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read> correct: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;

var<workgroup> sh_sums: array<vec3<f32>, 64>;

// Returns the sums in invocation 0, and 0 in the others.
fn sum_rows(local_ix: u32) -> vec3<f32> {
    var sums = vec3<f32>();
    for (var row = local_ix; row < ROWS; row += 64u) {
        sums += vec3<f32>(losses[row], correct[row], select(1.0, 0.0, labels[row] == IGNORED));
    }
    sh_sums[local_ix] = sums;
    workgroupBarrier();
    var total = vec3<f32>();
    if local_ix == 0u {
        for (var i = 0u; i < 64u; i++) {
            total += sh_sums[i];
        }
    }
    return total;
}
