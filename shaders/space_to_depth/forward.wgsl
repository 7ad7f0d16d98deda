// y[n, oh, ow, (kh * BLOCK + kw) * C + c] = x[n, oh * BLOCK + kh, ow * BLOCK + kw, c]
//
//   x [N, OH * BLOCK, OW * BLOCK, C],  y [N, OH, OW, BLOCK * BLOCK * C]
//
// With BACKWARD the copy goes the other way, from d_y to d_x. One invocation copies one element. Grid: one axis of
// elements, folded into two (see shared/linear_index). Launched by src/ops/space_to_depth.rs.

// #import shared/linear_index

const OW: u32 = 1u;
const C: u32 = 1u;
const BLOCK: u32 = 1u;
const BACKWARD: bool = false;

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&result) {
        // The channels of one row of a block are contiguous in x and in y. `oh` counts the rows of blocks of all images.
        let c = ix % (BLOCK * C);
        let kh = ix / (BLOCK * C) % BLOCK;
        let ow = ix / (BLOCK * C * BLOCK) % OW;
        let oh = ix / (BLOCK * C * BLOCK * OW);
        let pixel = ((oh * BLOCK + kh) * OW + ow) * BLOCK * C + c;
        if BACKWARD {
            result[pixel] = source[ix];
        } else {
            result[ix] = source[pixel];
        }
    }
}
