// Softmax cross-entropy of each row of logits z, and its gradient, in one dispatch:
//
//   log_p[k] = (z[k] - max z) - log sum over j of exp(z[j] - max z)
//   losses   = -sum over k of t[k] * log_p[k]     t = w * ((1 - SMOOTHING) * onehot(label) + SMOOTHING / CLASSES)
//   d_logits = (softmax(z) * sum t - t) / ROWS    the gradient of the mean over the rows
//   correct  = 1 if the first largest logit is the label's, otherwise 0
//
//   logits, d_logits [ROWS, CLASSES],  labels, losses, correct [ROWS]
//
// The import `weights` has the class weights w: 1, so sum t is 1 too, or an input. With weights, the mean is over the
// weights of the labels: d_logits is divided by their sum in place of ROWS, and losses is multiplied by ROWS / sum.
// A row whose label is not a class (padding of the last batch) gets zeros in all three outputs. One invocation computes
// one row: a row has few classes, and softmax needs its maximum and its sum. Grid: one axis of rows, folded into two
// (see shared/linear_index). Launched by src/ops/cross_entropy.rs.

// #import shared/linear_index
// #import weights

const ROWS: u32 = 1u;
const CLASSES: u32 = 1u;
const SMOOTHING: f32 = 0.0;

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;
@group(0) @binding(3) var<storage, read_write> correct: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_logits: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let row = linear_index(workgroup, n_workgroups, local_ix);
    if row >= ROWS {
        return;
    }
    let start = row * CLASSES;
    let label = labels[row];
    var largest = logits[start];
    var largest_at = 0u;
    for (var k = 1u; k < CLASSES; k++) {
        if logits[start + k] > largest {
            largest = logits[start + k];
            largest_at = k;
        }
    }
    // After subtracting the maximum, no exponential overflows, and the largest one is exactly 1.
    var exp_sum = 0.0;
    for (var k = 0u; k < CLASSES; k++) {
        exp_sum += exp(logits[start + k] - largest);
    }
    let log_sum = log(exp_sum);
    let counts = label < CLASSES;
    let total = target_sum(label);
    var loss = 0.0;
    for (var k = 0u; k < CLASSES; k++) {
        let log_p = logits[start + k] - largest - log_sum;
        let q = select(0.0, 1.0 - SMOOTHING, k == label) + SMOOTHING / f32(CLASSES);
        let wanted = weight_of(k) * q;
        loss -= wanted * log_p;
        let p = exp(logits[start + k] - largest) / exp_sum;
        d_logits[start + k] = select(0.0, over_batch(p * total - wanted), counts);
    }
    losses[row] = select(0.0, scaled_loss(loss), counts);
    correct[row] = select(0.0, 1.0, counts && largest_at == label);
}
