// metrics[LOSS_SUM]  += sum of losses[row]
// metrics[N_CORRECT] += sum of correct[row]
// metrics[N_IMAGES]  += number of rows whose label is not IGNORED
//
// The three sums grow only while the not-finite flag is 0. In every step, metrics[FLAG] becomes a copy of the flag, and
// metrics[N_SKIPPED] counts the steps whose flag is SKIPPED. Grid: one workgroup (see metrics/sum_rows). Launched by
// src/ops/metrics.rs.

// #import metrics/add
// #import metrics/sum_rows

@group(0) @binding(3) var<storage, read> control: array<f32>;
@group(0) @binding(4) var<storage, read_write> metrics: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local_ix: u32) {
    let sums = sum_rows(local_ix);
    if local_ix == 0u {
        add_to_metrics(control[NOT_FINITE], sums);
    }
}
