// y[n, i] = x[n, i] * SCALE, or x[n, i] * 0 where the element is dropped: where its random word is below THRESHOLD
//
//   x, y [IMAGES, SIZE],  image_numbers [IMAGES]
//
// SIZE is the number of elements of an image. The random words of an image are a function of the run's seed, the epoch,
// the image's number and `stream`, which differs from layer to layer. The gradient is the same function of d_y.
//
// One invocation computes four neighbouring elements of an image, because Philox gives four words. src/ops/dropout.rs
// launches this kernel.

// #import shared/linear_index
// #import shared/philox
// #import shared/step

const IMAGES: u32 = 1u;
const SIZE: u32 = 1u;
const THRESHOLD: u32 = 0u;
const SCALE: f32 = 1.0;

const GROUPS: u32 = (SIZE + 3u) / 4u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> image_numbers: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> scalars: StepScalars;
@group(0) @binding(4) var<uniform> stream: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    let image = ix / GROUPS;
    if image >= IMAGES {
        return;
    }
    let group = ix % GROUPS;
    let counter = vec4<u32>(image_numbers[image], scalars.epoch, stream, group);
    let random = philox(counter, scalars.seed);
    let factors = select(vec4<f32>(), vec4<f32>(SCALE), random >= vec4<u32>(THRESHOLD));
    for (var i = 0u; i < min(4u, SIZE - 4u * group); i++) {
        let at = image * SIZE + 4u * group + i;
        y[at] = x[at] * factors[i];
    }
}
