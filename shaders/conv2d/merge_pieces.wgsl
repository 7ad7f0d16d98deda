// The moments of slabs, from those of pieces of PIECE_ROWS rows: the upper levels of the tree in conv2d/moments.
//
// One invocation makes four channels of one slab. src/ops/conv2d/moments.rs launches it.

// #import shared/linear_index
// #import conv2d/geometry
// #import rows
// #import conv2d/moments
// #import conv2d/store_moments
// #import turns

const OUT_H: u32 = OH;
const OUT_W: u32 = OW;
const OUT_CHANNELS: u32 = CO;
const VECTORS: u32 = (CO + 3u) / 4u;
const N_PIECES: u32 = (N_ROWS + PIECE_ROWS - 1u) / PIECE_ROWS;
const N_SLABS: u32 = (N_ROWS + SLAB_ROWS - 1u) / SLAB_ROWS;

// [N_PIECES, 2, CO]
@group(0) @binding(0) var<storage, read> pieces: array<f32>;

// Four channels; the last one again where there are no more.
fn load_moment(start: u32, channel: u32) -> vec4<f32> {
    let ix = start * CO + min(channel + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(CO - 1u));
    return vec4<f32>(pieces[ix.x], pieces[ix.y], pieces[ix.z], pieces[ix.w]);
}

// The piece from `row` on. Past the last piece it is the last once more, which counts as no pixels.
fn load_piece(row: u32, channel: u32) -> Moments {
    let start = 2u * min(row / PIECE_ROWS, N_PIECES - 1u);
    return Moments(load_moment(start, channel), load_moment(start + 1u, channel));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_SLABS * VECTORS {
        return;
    }
    let slab = ix / VECTORS;
    let first = slab * SLAB_ROWS;
    let channel = ix % VECTORS * 4u;
    var upper: Moments;
    var lower: Moments;
    // A quarter of the slab at each turn: the first of a half takes `lower`, and what was there, the half before,
    // becomes `upper`; the second completes the half.
    let n_quarters = turns(4u, n_workgroups);
    for (var i = 0u; i < n_quarters; i++) {
        let row = first + 2u * PIECE_ROWS * i;
        let quarter = merge(
            load_piece(row, channel),
            load_piece(row + PIECE_ROWS, channel),
            row,
            PIECE_ROWS,
        );
        if i % 2u == 0u {
            upper = lower;
            lower = quarter;
        } else {
            lower = merge(lower, quarter, row - 2u * PIECE_ROWS, 2u * PIECE_ROWS);
        }
    }
    store_moments(slab, channel, merge(upper, lower, first, 4u * PIECE_ROWS));
}
