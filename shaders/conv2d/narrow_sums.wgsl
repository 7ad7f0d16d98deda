// The sums of forward_narrow.wgsl: the operands in an invocation's registers, and the terms of a run of cells.

// #import conv2d/narrow_group

// The window of a cell has TAPS_H x TAPS_W pixels of the source; that of a run has WINDOW_W columns.
const WINDOW_W: u32 = (RUN - 1u) * WINDOW_STEP_W + TAPS_W;

const N_WEIGHTS: u32 = KERNEL_H * KERNEL_W * GROUP_CHANNELS;
const N_OWN: u32 = (N_WEIGHTS + COLUMN_SHARING_LANES - 1u) / COLUMN_SHARING_LANES;

// An invocation's window, its own part of the weights, and its lane.
struct Operands {
    window: array<array<array<vec4<f32>, GROUP_VECTORS>, WINDOW_W>, TAPS_H>,
    own: array<vec4<f32>, N_OWN>,
    lane: u32,
}

// Adds the terms of one row of the window to the sums of a phase.
fn add_terms(
    sums: ptr<function, array<vec4<f32>, RUN>>,
    operands: ptr<function, Operands>,
    phase: vec2<u32>,
    tap_h: u32,
) {
    for (var tap_w = 0u; tap_w < TAPS_W; tap_w++) {
        let position = kernel_position(vec2<u32>(tap_h, tap_w), phase);
        if position.x < KERNEL_H && position.y < KERNEL_W {
            for (var k = 0u; k < GROUP_CHANNELS; k++) {
                let ix = (position.x * KERNEL_W + position.y) * GROUP_CHANNELS + k;
                let own = (*operands).own[ix / COLUMN_SHARING_LANES];
                let weight = of_column_lane(own, (*operands).lane, ix % COLUMN_SHARING_LANES);
                for (var i = 0u; i < RUN; i++) {
                    let x = (*operands).window[tap_h][i * WINDOW_STEP_W + tap_w][k / 4u];
                    (*sums)[i] = fma(factors(x, k % 4u), weight, (*sums)[i]);
                }
            }
        }
    }
}

// Returns the sums of a phase for the cells of a run.
fn sums_of(operands: ptr<function, Operands>, phase: vec2<u32>) -> array<vec4<f32>, RUN> {
    // Compilers do not unroll a loop over tap_h whose body is this long, so the first three calls are written out.
    var sums: array<vec4<f32>, RUN>;
    add_terms(&sums, operands, phase, 0u);
    if TAPS_H > 1u {
        add_terms(&sums, operands, phase, min(1u, TAPS_H - 1u));
    }
    if TAPS_H > 2u {
        add_terms(&sums, operands, phase, min(2u, TAPS_H - 1u));
    }
    for (var tap_h = 3u; tap_h < TAPS_H; tap_h++) {
        add_terms(&sums, operands, phase, tap_h);
    }
    return sums;
}
