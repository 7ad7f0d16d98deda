// to[outer, row, group, column] = source[outer, row, group, column], or 0 past the last row or column of `source`
//
//   source [outer, from_rows, n_groups, from_columns],  to [outer, to_rows, n_groups, to_columns]
//
// Pads every group of a convolution's channels to a multiple of 4, or removes the padding. The channels of pixels are
// columns, with one row; the weight has input channels as rows and output channels as columns. One invocation makes one
// element of `to`. The sizes are numbers and not constants, so all tensors share a pipeline. src/ops/conv2d/uneven.rs
// launches this kernel.

// #import shared/linear_index

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> to: array<f32>;
@group(0) @binding(2) var<uniform> n_groups: u32;
@group(0) @binding(3) var<uniform> from_rows: u32;
@group(0) @binding(4) var<uniform> from_columns: u32;
@group(0) @binding(5) var<uniform> to_rows: u32;
@group(0) @binding(6) var<uniform> to_columns: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&to) {
        let column = ix % to_columns;
        let group_row = ix / to_columns;
        let row = group_row / n_groups % to_rows;
        let outer = group_row / (n_groups * to_rows);
        var value = 0.0;
        if row < from_rows && column < from_columns {
            let group = group_row % n_groups;
            value = source[((outer * from_rows + row) * n_groups + group) * from_columns + column];
        }
        to[ix] = value;
    }
}
