// jittered[n] = pixels[n] with brightness, contrast and saturation changed, in a random order:
//
//   v = d + factor * (v - d), clamped to a byte
//
// d is black for brightness, the image's mean grey for contrast, and the pixel's own grey for saturation.
// Factors are in units of 1 / 2^14, so all arithmetic is on integers.
//
//   pixels, jittered [IMAGES, 3, HEIGHT, WIDTH] bytes, four to a word;  draws [IMAGES, 4]
//
// One workgroup computes one image, because the contrast needs the mean over the image. First each invocation sums the
// greys of its pixels, after the changes that precede the contrast. Then it applies all changes. An invocation takes
// four pixels at a time, one word of each channel. Grid: one axis with a workgroup per image, folded into two (see
// shared/linear_index). Launched by src/ops/augment/jitter.rs.

// #import shared/linear_index

const IMAGES: u32 = 1u;
// Pixels of one channel of one image; a multiple of 4.
const PIXELS: u32 = 1024u;

const CONTRAST: u32 = 1u;
const SATURATION: u32 = 2u;

@group(0) @binding(0) var<storage, read> pixels: array<u32>;
@group(0) @binding(1) var<storage, read> draws: array<u32>;
@group(0) @binding(2) var<storage, read_write> jittered: array<u32>;

var<workgroup> sh_sums: array<u32, 64>;

fn grey(v: vec3<i32>) -> i32 {
    return (19595 * v.r + 38470 * v.g + 7471 * v.b + 32768) >> 16u;
}

// Returns the change at position `turn` of permutation number `order`: 0 is brightness, 1 contrast, 2 saturation.
fn change_at(turn: u32, order: u32) -> u32 {
    return (order / 2u + turn * (1u + order % 2u)) % 3u;
}

// Returns the three channels of pixel `ix` of four pixels. Each of the three words holds one channel of the four
// pixels.
fn unpack(words: vec3<u32>, ix: u32) -> vec3<i32> {
    return vec3<i32>((words >> vec3<u32>(8u * ix)) & vec3<u32>(0xffu));
}

fn change(v: vec3<i32>, n_turns: u32, image: u32, mean: i32) -> vec3<i32> {
    var changed = v;
    for (var turn = 0u; turn < n_turns; turn++) {
        let which = change_at(turn, draws[4u * image + 3u]);
        let factor = i32(draws[4u * image + which]);
        var d = 0;
        if which == CONTRAST { d = mean; }
        if which == SATURATION { d = grey(changed); }
        let blended = (d << 14u) + factor * (changed - d);
        changed = clamp(blended >> vec3<u32>(14u), vec3<i32>(0), vec3<i32>(255));
    }
    return changed;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let image = workgroup.y * n_workgroups.x + workgroup.x;
    if image >= IMAGES {
        return;
    }
    let plane = PIXELS / 4u;
    let start = 3u * plane * image;
    var before = 0u;
    while change_at(before, draws[4u * image + 3u]) != CONTRAST {
        before++;
    }
    var sum = 0u;
    for (var ix = local_ix; ix < plane; ix += WORKGROUP_SIZE) {
        let at = start + ix;
        let words = vec3<u32>(pixels[at], pixels[at + plane], pixels[at + 2u * plane]);
        for (var i = 0u; i < 4u; i++) {
            sum += u32(grey(change(unpack(words, i), before, image, 0)));
        }
    }
    sh_sums[local_ix] = sum;
    workgroupBarrier();
    var total = 0u;
    for (var i = 0u; i < WORKGROUP_SIZE; i++) {
        total += sh_sums[i];
    }
    // The mean is rounded to the nearest integer.
    let mean = i32((2u * total + PIXELS) / (2u * PIXELS));
    for (var ix = local_ix; ix < plane; ix += WORKGROUP_SIZE) {
        let at = start + ix;
        let words = vec3<u32>(pixels[at], pixels[at + plane], pixels[at + 2u * plane]);
        var packed = vec3<u32>();
        for (var i = 0u; i < 4u; i++) {
            let v = change(unpack(words, i), 3u, image, mean);
            packed |= vec3<u32>(v) << vec3<u32>(8u * i);
        }
        jittered[at] = packed.r;
        jittered[at + plane] = packed.g;
        jittered[at + 2u * plane] = packed.b;
    }
}
