// The import `weights` of a loss with class weights, [CLASSES]. The two sums are those of cross_entropy/weight_sums.

@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read> weight_sums: array<f32>;

fn weight_of(k: u32) -> f32 {
    return weights[k];
}

// The sum over k of weights[k] * q[k]. A label that is not a class has no effect: the caller drops its row.
fn target_sum(label: u32) -> f32 {
    let of_label = weights[min(label, CLASSES - 1u)];
    return (1.0 - SMOOTHING) * of_label + SMOOTHING / f32(CLASSES) * weight_sums[1];
}

// Without any weight in the batch, the loss and its gradient are 0.
fn over_batch(term: f32) -> f32 {
    return select(0.0, term / weight_sums[0], weight_sums[0] > 0.0);
}

fn scaled_loss(loss: f32) -> f32 {
    return over_batch(loss) * f32(ROWS);
}
