// step_metrics[LOSS_SUM]  = sum of losses[row]
// step_metrics[N_CORRECT] = sum of correct[row]
// step_metrics[N_IMAGES]  = number of rows whose label is not IGNORED
//
// The rows are those of one shard. Grid: one workgroup (see metrics/sum_rows). Launched by src/ops/metrics.rs.

// #import metrics/layout
// #import metrics/sum_rows

@group(0) @binding(3) var<storage, read_write> step_metrics: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    let sums = sum_rows(local_ix);
    if local_ix == 0u {
        step_metrics[LOSS_SUM] = sums.x;
        step_metrics[N_CORRECT] = sums.y;
        step_metrics[N_IMAGES] = sums.z;
    }
}
