//! The random generator Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2,
//! 3"). Four random words are a function of a counter and a key; the generator has no state. This file is the reference
//! of `shaders/shared/philox.wgsl`.
//!
//! The key is the run's seed. The counter is (image number, epoch, stream, position), so every draw is a function of the
//! seed, the epoch and the image, and not of the batch. Each use has random streams of its own:
//!
//! | stream | use | position |
//! |---|---|---|
//! | [`AUGMENT_STREAM`] | crop, flip and cutout | 0 |
//! | [`JITTER_STREAM`] | colour jitter | 0 |
//! | [`FIRST_DROPOUT_STREAM`] + number of the layer | dropout | a quarter of the element's index in the image |
//! | [`CROP_STREAM`] | box of the random resized crop | attempt, from 0 |
//! | [`ERASING_STREAM`] | box of random erasing | attempt, from 0; 10 for the choice of the erased images |

/// The random stream of crop, flip and cutout.
pub const AUGMENT_STREAM: u32 = 0;
/// The random stream of the colour jitter.
pub const JITTER_STREAM: u32 = 1;
/// The random stream of the first dropout layer. The next layer has the next stream.
pub const FIRST_DROPOUT_STREAM: u32 = 2;
/// The random stream of the random resized crop. The streams of dropout count up, so other new streams count down.
pub const CROP_STREAM: u32 = u32::MAX;
/// The random stream of random erasing.
pub const ERASING_STREAM: u32 = u32::MAX - 1;

/// Returns four random words for a counter and a key.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    for _ in 0..10 {
        let (high0, low0) = multiply(0xD251_1F53, c0);
        let (high1, low1) = multiply(0xCD9E_8D57, c2);
        (c0, c1, c2, c3) = (high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// Returns the upper and lower word of a product.
fn multiply(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// Scales a random word to `0..n`.
pub fn below(word: u32, n: u32) -> u32 {
    multiply(word, n).0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors that the authors published with Random123.
    #[test]
    fn gives_the_published_vectors() {
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox(counter, key), expected);
        }
    }
}
