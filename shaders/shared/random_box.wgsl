// A random box in an image, as torchvision draws it for RandomResizedCrop and RandomErasing: its part of the image's
// area is uniform, and so is the logarithm of its width divided by its height. All arithmetic is on integers:
//
//   part    in LEAST_PART..LEAST_PART + N_PARTS, in units of 1 / 2^31
//   power   in LEAST_POWER..LEAST_POWER + N_POWERS; the ratio is 2^(power / 2^16 - 5)
//
// docs/ops/random_resized_crop.md has the bounds that keep each product in 32 bits. src/ops/random_box.rs is the same
// function on the CPU.

// #import shared/philox
// #import shared/step

const LEAST_PART: u32 = 0u;
const N_PARTS: u32 = 1u;
const LEAST_POWER: u32 = 0u;
const N_POWERS: u32 = 1u;
// The least number of rows and of columns of a box.
const LEAST_SIDE: u32 = 1u;
// The random stream, a word of Philox's counter.
const STREAM: u32 = 0u;

const N_ATTEMPTS: u32 = 10u;

// Returns 2^(power / 2^16 - 5) in units of 1 / 2^27. The sum is the Taylor series of 2^f up to f^7, for the fraction f
// of power / 2^16; the constants are log(2)^k / k! in units of 1 / 2^31.
fn power_of_two(power: u32) -> u32 {
    let f = power << 16u;
    var sum = 32754u;
    sum = multiply_high(sum, f) + 330788u;
    sum = multiply_high(sum, f) + 2863359u;
    sum = multiply_high(sum, f) + 20654774u;
    sum = multiply_high(sum, f) + 119194165u;
    sum = multiply_high(sum, f) + 515882495u;
    sum = multiply_high(sum, f) + 1488522235u;
    sum = multiply_high(sum, f) + 2147483648u;
    return sum >> (9u - (power >> 16u));
}

// Returns the largest integer whose square is at most x.
fn square_root(x: u32) -> u32 {
    var root = 0u;
    for (var bit = 0x8000u; bit != 0u; bit >>= 1u) {
        let next = root | bit;
        if next * next <= x {
            root = next;
        }
    }
    return root;
}

// Returns the square root of area * ratio, rounded to the nearest integer. `area` is in units of 1 / 2^6.
fn side(area: u32, ratio: u32) -> u32 {
    // The product is 4 * area * ratio, so its root is twice the side.
    return (square_root(multiply_high(area << 1u, ratio)) + 1u) / 2u;
}

// Returns (top, left, height, width) of a box with at most `most` = (rows, columns), in an image of `size`; zeros if
// none of ten boxes has such sides.
fn random_box(image: u32, size: vec2<u32>, most: vec2<u32>, scalars: StepScalars) -> vec4<u32> {
    for (var attempt = 0u; attempt < N_ATTEMPTS; attempt++) {
        let random = philox(vec4<u32>(image, scalars.epoch, STREAM, attempt), scalars.seed);
        let part = LEAST_PART + multiply_high(random.x, N_PARTS);
        let area = multiply_high((size.x * size.y) << 7u, part);
        let power = LEAST_POWER + multiply_high(random.y, N_POWERS);
        // The ratio of height to width is the inverse, 2^(5 - power / 2^16).
        let sides = vec2<u32>(side(area, power_of_two(0xa0000u - power)), side(area, power_of_two(power)));
        if all(sides >= vec2<u32>(LEAST_SIDE)) && all(sides <= most) {
            let places = size - sides + 1u;
            let top = multiply_high(random.z, places.x);
            return vec4<u32>(top, multiply_high(random.w, places.y), sides);
        }
    }
    return vec4<u32>();
}
