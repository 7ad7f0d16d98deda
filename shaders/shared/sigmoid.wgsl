// The logistic function 1 / (1 + exp(-x)), without an exponential of anything positive, which could overflow.

fn sigmoid(x: f32) -> f32 {
    let t = exp(-abs(x));
    return select(t, 1.0, x >= 0.0) / (1.0 + t);
}
