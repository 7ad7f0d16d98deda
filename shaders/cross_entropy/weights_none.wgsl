// The import `weights` of a loss without class weights: every weight is 1, and the batch has ROWS rows.

fn weight_of(k: u32) -> f32 {
    return 1.0;
}

fn target_sum(label: u32) -> f32 {
    return 1.0;
}

fn over_batch(term: f32) -> f32 {
    return term / f32(ROWS);
}

fn scaled_loss(loss: f32) -> f32 {
    return loss;
}
