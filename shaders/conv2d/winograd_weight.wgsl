// U = G * kernel * transpose(G) for every pair of channels: the right operand of the 16 products of Winograd's algorithm
// (docs/ops/conv2d.md), [16, ROWS, COLUMNS].
//
//   G =   1    0    0
//        1/2  1/2  1/2
//        1/2 -1/2  1/2
//         0    0    1
//
// Forward, a row is an input channel and a column an output channel. For the gradient of the input, the two are
// exchanged, and the kernel is rotated by 180 degrees. The numbers of rows and columns are rounded up to multiples of
// four, with zeros. One invocation transforms one pair of channels. src/ops/conv2d/winograd_launch.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/geometry

const ROTATED: bool = false;
const ROWS: u32 = 4u;
const COLUMNS: u32 = 4u;

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> transformed: array<f32>;

fn kernel_row(ky: u32, ci: u32, co: u32) -> vec3<f32> {
    let row = select(ky, 2u - ky, ROTATED);
    let ix = (row * 3u * CI + ci) * CO + co;
    let kernel = vec3<f32>(weight[ix], weight[ix + CI * CO], weight[ix + 2u * CI * CO]);
    return select(kernel, kernel.zyx, vec3<bool>(ROTATED));
}

// Stores row i of U: the product of a row of G * kernel and transpose(G).
fn store_row(ix: u32, i: u32, row: vec3<f32>) {
    let size = ROWS * COLUMNS;
    let at = 4u * i * size + ix;
    transformed[at] = row.x;
    transformed[at + size] = 0.5 * (row.x + row.y + row.z);
    transformed[at + 2u * size] = 0.5 * (row.x - row.y + row.z);
    transformed[at + 3u * size] = row.z;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= ROWS * COLUMNS {
        return;
    }
    let row = ix / COLUMNS;
    let column = ix % COLUMNS;
    let ci = select(row, column, ROTATED);
    let co = select(column, row, ROTATED);
    var top = vec3<f32>();
    var middle = vec3<f32>();
    var bottom = vec3<f32>();
    if ci < CI && co < CO {
        top = kernel_row(0u, ci, co);
        middle = kernel_row(1u, ci, co);
        bottom = kernel_row(2u, ci, co);
    }
    store_row(ix, 0u, top);
    store_row(ix, 1u, 0.5 * (top + middle + bottom));
    store_row(ix, 2u, 0.5 * (top - middle + bottom));
    store_row(ix, 3u, bottom);
}
