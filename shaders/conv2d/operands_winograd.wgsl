// The 16 matrix products of Winograd's algorithm as one product of the kernels forward.wgsl and forward_tile.wgsl:
//
//   result[split, phase, row, column] = sum over k of left[split, phase, row, k] * right[split, phase, k, column]
//
// The right operand [N_SPLITS, 16, IN_CHANNELS, OUT_CHANNELS] takes the place of the weight of a kernel with 4 * N_SPLITS
// rows and 4 columns. The sums of phase (i, j) have a term at the positions (4 * split + i, j) alone. All sizes except
// the number of rows are multiples of four. src/ops/conv2d/product.rs replaces the values.

const N: u32 = 1u;
const GROUPS: u32 = 1u;
const KERNEL_H: u32 = 4u * N_SPLITS;
const KERNEL_W: u32 = 4u;

// The result has 16 phases of OUT_W rows.
const OUT_H: u32 = 16u;
const OUT_W: u32 = 1u;
const OUT_CHANNELS: u32 = 4u;
const IN_CHANNELS: u32 = 4u;

const WEIGHT_BINDING: u32 = 1u;
const POSITION_STEP_H: u32 = 4u;
const POSITION_STEP_W: u32 = 4u;

// Stands for the index of a row that is not in the left operand.
const OUTSIDE: u32 = 0xffffffffu;

@group(0) @binding(0) var<storage, read> left_rows: array<vec4<f32>>;

// Returns the first (ky, kx) that has a term in the sums of a row.
fn first_position(pixel: vec3<u32>) -> vec2<u32> {
    return vec2<u32>(pixel.y / 4u, pixel.y % 4u);
}

// Returns the index of the first term of a row of the left operand, and an unused 0.
fn source_of(pixel: vec3<u32>, ky: u32, kx: u32) -> vec2<u32> {
    return vec2<u32>(((ky * 4u + kx) * OUT_W + pixel.z) * IN_CHANNELS, 0u);
}

// Returns terms k to k + 3 of the row whose source is given, or zeros if its index is OUTSIDE.
fn load_source(source: vec2<u32>, k: u32) -> vec4<f32> {
    let inside = source.x != OUTSIDE;
    return select(
        vec4<f32>(),
        left_rows[select(0u, source.x + k, inside) / 4u],
        vec4<bool>(inside),
    );
}
