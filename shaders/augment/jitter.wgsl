// jittered[n] = pixels[n] with brightness, contrast and saturation changed, in the order that was drawn:
//
//   v = d + factor * (v - d), cut to a byte; d is black, the image's mean grey, or the pixel's own grey
//
// Factors are in units of 1 / 2^14, so all of it is integers. One workgroup makes one image, for its mean
// grey: first each invocation sums the greys of its pixels, as they are when the contrast's turn comes; then
// all changes are made. An invocation takes four pixels at a time, one word of each channel.
// src/ops/augment/jitter.rs launches it.

// #import shared/linear_index

const IMAGES: u32 = 1u;
// Of one channel of one image; a multiple of 4.
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

// The change whose turn it is: brightness is 0.
fn change_at(turn: u32, order: u32) -> u32 {
    return (order / 2u + turn * (1u + order % 2u)) % 3u;
}

// Pixels four by four: one word of each channel, from byte to byte.
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
    // Rounded to the nearest.
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
