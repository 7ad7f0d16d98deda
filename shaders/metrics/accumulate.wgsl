// metrics[LOSS_SUM]  += sum of losses[row]
// metrics[N_CORRECT] += sum of correct[row]
// metrics[N_IMAGES]  += number of rows whose label is not IGNORED
//
//   losses, correct, labels [ROWS]
//
// The three sums grow only while the not-finite flag is 0. In every step, metrics[FLAG] becomes a copy of the flag, and
// metrics[N_SKIPPED] counts the steps whose flag is SKIPPED. Grid: one workgroup. Each invocation sums every 64th row;
// then invocation 0 adds the 64 sums in order, so the order of the sum is fixed. Launched by src/ops/metrics.rs.

// #import finite_check/control
// #import metrics/layout

const ROWS: u32 = 1u;
const IGNORED: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read> losses: array<f32>;
@group(0) @binding(1) var<storage, read> correct: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> control: array<f32>;
@group(0) @binding(4) var<storage, read_write> metrics: array<f32>;

var<workgroup> sh_sums: array<vec3<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    var sums = vec3<f32>();
    for (var row = local_ix; row < ROWS; row += 64u) {
        sums += vec3<f32>(losses[row], correct[row], select(1.0, 0.0, labels[row] == IGNORED));
    }
    sh_sums[local_ix] = sums;
    workgroupBarrier();
    if local_ix != 0u {
        return;
    }
    let flag = control[NOT_FINITE];
    metrics[FLAG] = flag;
    if flag == SKIPPED {
        metrics[N_SKIPPED] += 1.0;
    }
    if flag == 0.0 {
        var total = vec3<f32>();
        for (var i = 0u; i < 64u; i++) {
            total += sh_sums[i];
        }
        metrics[LOSS_SUM] += total.x;
        metrics[N_CORRECT] += total.y;
        metrics[N_IMAGES] += total.z;
    }
}
