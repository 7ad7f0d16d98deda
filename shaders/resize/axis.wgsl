// The places of output rows and columns in the input. Along an axis, output position o lies at
// max(o * STEP + ADDED - SUBTRACTED, 0) / UNIT. The four numbers are whole, so the input positions around the place are
// exact. `Axis` in src/ops/resize/axis.rs has the same numbers, and the launch replaces every value.

// #import shared/pool_geometry

const NEAREST: bool = false;
const STEP_H: u32 = 1u;
const ADDED_H: u32 = 0u;
const SUBTRACTED_H: u32 = 0u;
const UNIT_H: u32 = 1u;
const STEP_W: u32 = 1u;
const ADDED_W: u32 = 0u;
const SUBTRACTED_W: u32 = 0u;
const UNIT_W: u32 = 1u;

struct Axis {
    n_inputs: u32,
    n_outputs: u32,
    step: u32,
    added: u32,
    subtracted: u32,
    unit: u32,
}

// The input positions around a place, and the weight of `high`; `low` has the weight 1 - weight.
struct Taps {
    low: u32,
    high: u32,
    weight: f32,
}

fn rows() -> Axis {
    return Axis(H, OH, STEP_H, ADDED_H, SUBTRACTED_H, UNIT_H);
}

fn columns() -> Axis {
    return Axis(W, OW, STEP_W, ADDED_W, SUBTRACTED_W, UNIT_W);
}

fn taps(axis: Axis, output: u32) -> Taps {
    let place = max(output * axis.step + axis.added, axis.subtracted) - axis.subtracted;
    let low = place / axis.unit;
    return Taps(low, min(low + 1u, axis.n_inputs - 1u), f32(place % axis.unit) / f32(axis.unit));
}
