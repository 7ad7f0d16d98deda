// The kernel metrics/accumulate for the sums over all shards of a step, which step_metrics has. Grid: one workgroup, of
// which one invocation works. Launched by src/ops/metrics.rs.

// #import metrics/add

@group(0) @binding(0) var<storage, read> step_metrics: array<f32>;
@group(0) @binding(1) var<storage, read> control: array<f32>;
@group(0) @binding(2) var<storage, read_write> metrics: array<f32>;

@compute @workgroup_size(1)
fn main() {
    let sums = vec3<f32>(step_metrics[LOSS_SUM], step_metrics[N_CORRECT], step_metrics[N_IMAGES]);
    add_to_metrics(control[NOT_FINITE], sums);
}
