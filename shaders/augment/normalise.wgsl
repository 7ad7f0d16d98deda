// y[n, h, w, c] = table[pixels[n, c, h, w], c]: the input of evaluation, without augmentation
//
//   pixels [IMAGES, CHANNELS, HEIGHT, WIDTH] bytes,  table [256, CHANNELS],  y [IMAGES, HEIGHT, WIDTH, CHANNELS]
//
// One invocation computes the channels of one pixel. Grid: one axis of pixels, folded into two (see
// shared/linear_index). Launched by src/ops/augment/apply.rs.

// #import shared/linear_index
// #import augment/pixels

@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < IMAGES * HEIGHT * WIDTH {
        for (var c = 0u; c < CHANNELS; c++) {
            let byte = pixel(ix / (HEIGHT * WIDTH), c, ix / WIDTH % HEIGHT, ix % WIDTH);
            y[CHANNELS * ix + c] = table[CHANNELS * byte + c];
        }
    }
}
