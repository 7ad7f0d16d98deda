//! The mutants of the augmentations, and of the random numbers and boxes that they share.

use super::In::{self, Default};
use super::Mutant;

pub const MUTANTS: &[(In, Mutant)] = &[
    (Default, ("augment", "shared/philox", "round < 10u", "round < 9u")),
    (Default, ("augment", "shared/philox", "+ (middle2 >> 16u)", "")),
    (Default, ("augment", "augment/augment", "WIDTH - 1u - w", "WIDTH - w")),
    (Default, ("augment", "augment/augment", "below < CUTOUT", "below <= CUTOUT")),
    (
        Default,
        ("augment", "augment/augment", "draws[draw] - PADDING", "draws[draw] - PADDING + 1u"),
    ),
    (
        Default,
        ("augment", "augment/augment", "mirrored(i32(column), WIDTH)", "min(column, WIDTH - 1u)"),
    ),
    (Default, ("augment", "augment/pixels", "8u * (ix % 4u)", "8u * (3u - ix % 4u)")),
    (Default, ("augment", "augment/jitter", "before++", "before += 2u")),
    (Default, ("augment", "augment/jitter", "sum += u32", "sum = u32")),
    (Default, ("augment", "augment/jitter", "+ PIXELS) / (2u", ") / (2u")),
    (Default, ("augment", "augment/jitter", "+ 32768) >>", ") >>")),
    (Default, ("augment", "augment/jitter", "vec3<i32>(255))", "vec3<i32>(256))")),
    (Default, ("augment", "augment/jitter", "(1u + order % 2u)", "1u")),
    (Default, ("augment", "augment/jitter_draws", "1u, 0u), scalars", "0u, 0u), scalars")),
    (Default, ("augment", "augment/jitter_draws", "random.w, 6u", "random.w, 5u")),
    (Default, ("random_erasing", "random_erasing/boxes", "STREAM, N_ATTEMPTS", "STREAM, 0u")),
    (Default, ("random_erasing", "random_erasing/boxes", "size - 1u", "size")),
    (Default, ("random_erasing", "random_erasing/erase", "below < boxes[at + 2u]", "true")),
    (Default, ("random_erasing", "random_erasing/erase", "pixel % WIDTH -", "pixel % HEIGHT -")),
    (Default, ("random_resized_crop", "shared/random_box", "20654774u", "0u")),
    (Default, ("random_resized_crop", "shared/random_box", "0x8000u; bit", "0x80u; bit")),
    (Default, ("random_resized_crop", "shared/random_box", ", ratio)) + 1u)", ", ratio)))")),
    (Default, ("random_resized_crop", "shared/random_box", "STREAM, attempt", "STREAM, 0u")),
    (Default, ("random_resized_crop", "shared/random_box", "size - sides + 1u", "size - sides")),
    (Default, ("random_resized_crop", "shared/random_box", "0xa0000u - power", "power")),
    (Default, ("random_resized_crop", "random_resized_crop/boxes", "size.x * LEAST_RATIO", "0u")),
    (
        Default,
        ("random_resized_crop", "random_resized_crop/boxes", "size.x * MOST_RATIO {", "~0u {"),
    ),
    (
        Default,
        (
            "random_resized_crop",
            "random_resized_crop/resize",
            "max(length, n_outputs)",
            "n_outputs",
        ),
    ),
    (
        Default,
        ("random_resized_crop", "random_resized_crop/resize", "+ n_outputs) / (2u", ") / (2u"),
    ),
    (
        Default,
        (
            "random_resized_crop",
            "random_resized_crop/resize",
            "<< 8u) + sum_of_fractions",
            "<< 8u)",
        ),
    ),
    (Default, ("random_resized_crop", "random_resized_crop/resize", "+ 128u) / 256u", ") / 256u")),
    (
        Default,
        ("random_resized_crop", "random_resized_crop/resize", "channel * rows_of_picture", "0u"),
    ),
    (Default, ("random_resized_crop", "random_resized_crop/resize", "image * PICTURE_BYTES", "0u")),
];
