// The addition of a step's sums to the metrics of an epoch.

// #import finite_check/control
// #import metrics/layout

// Adds losses, correct predictions and images to `metrics`, which the importing file declares, while the flag is 0.
// Records the flag, and counts a skipped step.
fn add_to_metrics(flag: f32, sums: vec3<f32>) {
    metrics[FLAG] = flag;
    if flag == SKIPPED {
        metrics[N_SKIPPED] += 1.0;
    }
    if flag == 0.0 {
        metrics[LOSS_SUM] += sums.x;
        metrics[N_CORRECT] += sums.y;
        metrics[N_IMAGES] += sums.z;
    }
}
