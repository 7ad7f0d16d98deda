// metrics[LOSS_SUM]  += sum of losses,  metrics[N_CORRECT] += sum of correct,
// metrics[N_IMAGES]  += rows whose label is not IGNORED
//
// unless the sticky flag says that some number was not finite. One workgroup: each invocation sums every
// 64th row, then the first one adds up the 64 sums in order. src/ops/metrics.rs launches it.

// #import metrics/layout

const ROWS: u32 = 1u;
const IGNORED: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read> correct: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> metrics: array<f32>;

var<workgroup> sh_sums: array<vec3<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    var sums = vec3<f32>();
    for (var row = local_ix; row < ROWS; row += 64u) {
        sums += vec3<f32>(losses[row], correct[row], select(1.0, 0.0, labels[row] == IGNORED));
    }
    sh_sums[local_ix] = sums;
    workgroupBarrier();
    if local_ix == 0u && metrics[NOT_FINITE] == 0.0 {
        var total = vec3<f32>();
        for (var i = 0u; i < 64u; i++) {
            total += sh_sums[i];
        }
        metrics[LOSS_SUM] += total.x;
        metrics[N_CORRECT] += total.y;
        metrics[N_IMAGES] += total.z;
    }
}
