// y[n, h, w, c] = table[byte under it, c]: crop, flip, cutout and normalisation of one batch
//
// Read backwards, from y: cutout is exactly 0; else the flip mirrors the column; else the crop's offset
// leads into the image padded by PADDING black pixels, whose border is byte 0 and so table[0, c].
// One invocation makes the three channels of one pixel. src/ops/augment/apply.rs launches it.

// #import shared/linear_index
// #import augment/pixels

const PADDING: u32 = 4u;
const CUTOUT: u32 = 8u;
const CROP: bool = true;
const FLIP: bool = true;
const CUT: bool = true;

@group(0) @binding(2) var<storage, read> draws: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= IMAGES * HEIGHT * WIDTH {
        return;
    }
    let image = ix / (HEIGHT * WIDTH);
    let h = ix / WIDTH % HEIGHT;
    let w = ix % WIDTH;
    let draw = 5u * image;
    // The hole has rows centre - CUTOUT / 2 up to, not including, centre + CUTOUT / 2.
    let below = h + CUTOUT / 2u - draws[draw + 3u];
    let right = w + CUTOUT / 2u - draws[draw + 4u];
    if CUT && below < CUTOUT && right < CUTOUT {
        y[3u * ix] = 0.0;
        y[3u * ix + 1u] = 0.0;
        y[3u * ix + 2u] = 0.0;
        return;
    }
    var column = w;
    if FLIP && draws[draw + 2u] == 1u {
        column = WIDTH - 1u - w;
    }
    var row = h;
    if CROP {
        // Above and left of the image these wrap around and so fail the comparison.
        row += draws[draw] - PADDING;
        column += draws[draw + 1u] - PADDING;
    }
    let inside = row < HEIGHT && column < WIDTH;
    for (var c = 0u; c < 3u; c++) {
        var byte = 0u;
        if inside {
            byte = pixel(image, c, row, column);
        }
        y[3u * ix + c] = table[3u * byte + c];
    }
}
