// y[n, h, w, c] = table[byte, c]: crop, flip, cutout and normalisation of one batch
//
//   pixels [IMAGES, CHANNELS, HEIGHT, WIDTH] bytes,  table [256, CHANNELS],  draws [IMAGES, 5],
//   y [IMAGES, HEIGHT, WIDTH, CHANNELS]
//
// The kernel starts from a pixel of y and finds its source byte. Inside the cutout's square, y is exactly 0.
// Elsewhere the flip mirrors the column, and the crop's offset is added to row and column. The sum is a place in the
// image with a border of PADDING pixels. A pixel of the border is byte 0, so its value is table[0, c]; with REFLECT, it is
// the mirror image of a pixel inside.
//
// One invocation computes the channels of one pixel. Grid: one axis of pixels, folded into two (see
// shared/linear_index). Launched by src/ops/augment/apply.rs.

// #import shared/linear_index
// #import shared/mirrored
// #import augment/pixels

const PADDING: u32 = 4u;
const CUTOUT: u32 = 8u;
const CROP: bool = true;
const REFLECT: bool = false;
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
    // The cutout's rows go from centre - CUTOUT / 2 to centre + CUTOUT / 2, the latter excluded. For a row above them,
    // the u32 subtraction wraps around to a large number. So one comparison tests both ends.
    let below = h + CUTOUT / 2u - draws[draw + 3u];
    let right = w + CUTOUT / 2u - draws[draw + 4u];
    if CUT && below < CUTOUT && right < CUTOUT {
        for (var c = 0u; c < CHANNELS; c++) {
            y[CHANNELS * ix + c] = 0.0;
        }
        return;
    }
    var column = w;
    if FLIP && draws[draw + 2u] == 1u {
        column = WIDTH - 1u - w;
    }
    var row = h;
    if CROP {
        // Above and left of the image, `row` and `column` wrap around as u32 and fail the comparisons with HEIGHT and
        // WIDTH.
        row += draws[draw] - PADDING;
        column += draws[draw + 1u] - PADDING;
        if REFLECT {
            row = mirrored(i32(row), HEIGHT);
            column = mirrored(i32(column), WIDTH);
        }
    }
    let inside = row < HEIGHT && column < WIDTH;
    for (var c = 0u; c < CHANNELS; c++) {
        var byte = 0u;
        if inside {
            byte = pixel(image, c, row, column);
        }
        y[CHANNELS * ix + c] = table[CHANNELS * byte + c];
    }
}
