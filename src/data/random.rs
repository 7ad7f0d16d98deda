//! Random draws that have the same values in all versions of wgrad and of its dependencies.
//!
//! A seed must give the same pictures and the same order of images on every platform and with every version of a
//! dependency. ChaCha8 is a published cipher, so its output never changes. The methods of `rand` (`shuffle`,
//! `random_range`, `seed_from_u64`) may change with any major release, and have changed. So this module lays out the
//! key byte by byte and implements the few draws itself.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// The purpose of a random stream.
///
/// The purpose is part of the key, so equal seeds with different purposes share no numbers. The values never change:
/// with another value, every seed would give other numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// Shuffling of the training images of an epoch. The stream number is the epoch.
    EpochOrder = 1,
    /// Drawing of a built-in training picture. The stream number is the index of the picture.
    TrainPictures = 2,
    /// Drawing of a built-in test picture. The stream number is the index of the picture.
    TestPictures = 3,
    /// Choice of the validation images among the training images.
    Validation = 4,
}

/// A random stream, a function of `(seed, purpose, stream)` alone.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// Returns stream number `stream` of a seed and a purpose. Streams are independent and cheap to start. So each
    /// picture and each epoch has its own stream, and the number of threads has no effect.
    pub fn new(seed: u64, purpose: Purpose, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Draws a uniformly random 32-bit word.
    pub fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Draws uniformly from `0..n`, without bias.
    ///
    /// The draw is the high half of `word * n`. Each value comes from `floor(2^32 / n)` words or from one word more. If
    /// the words with a low half below `2^32 mod n` are rejected, all values come from equally many words (Lemire,
    /// "Fast Random Integer Generation in an Interval", 2019).
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "a draw below 0 has no value");
        let n_rejected = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.word()) * u64::from(n);
            if product as u32 >= n_rejected {
                return (product >> 32) as u32;
            }
        }
    }

    /// Shuffles a list; every permutation is equally likely.
    pub fn shuffle(&mut self, list: &mut [u32]) {
        // Fisher-Yates: position i gets a random one of the elements 0 to i.
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as u32 + 1) as usize);
        }
    }

    /// Draws uniformly from the multiples of 2^-24 in `[0, 1)`; an `f32` represents each of them exactly.
    pub fn unit(&mut self) -> f32 {
        (self.word() >> 8) as f32 / (1 << 24) as f32
    }

    /// Draws uniformly from `[low, high)`, up to rounding.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Returns true with this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Draws an approximately normal number with mean 0 and variance 1: the scaled sum of four uniform bytes, at most
    /// 3.46 in absolute value. A draw takes one word of the generator. The distribution is close enough to the normal
    /// one for image noise.
    pub fn bell(&mut self) -> f32 {
        // The sum of four bytes has mean 4 * 127.5 and variance 4 * (256^2 - 1) / 12.
        const MEAN: f32 = 510.0;
        const DEVIATION: f32 = 147.801;
        let sum: u32 = self.word().to_le_bytes().map(u32::from).iter().sum();
        (sum as f32 - MEAN) / DEVIATION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_chacha8_of_the_documented_key() {
        // ChaCha8 with a key of zeros, stream 0: the first words of the published key stream
        // (draft-strombergson-chacha-test-vectors, TC1, 256-bit key, 8 rounds), little endian.
        let mut zero = Draws(ChaCha8Rng::from_seed([0; 32]));
        assert_eq!(zero.word().to_le_bytes(), [0x3e, 0x00, 0xef, 0x2f]);
        assert_eq!(zero.word().to_le_bytes(), [0x89, 0x5f, 0x40, 0xd6]);
        // The layout of the key must not change either: with another layout, every seed would give other numbers.
        let mut draws = Draws::new(0x0123_4567_89ab_cdef, Purpose::TrainPictures, 7);
        let words: Vec<u32> = (0..4).map(|_| draws.word()).collect();
        assert_eq!(words, [3842347163, 2954271454, 79175649, 2335647817]);
    }

    #[test]
    fn seed_purpose_and_stream_each_give_other_numbers() {
        let first = |seed, purpose, stream| {
            let mut draws = Draws::new(seed, purpose, stream);
            [draws.word(), draws.word()]
        };
        let base = first(1, Purpose::TrainPictures, 0);
        assert_eq!(base, first(1, Purpose::TrainPictures, 0));
        assert_ne!(base, first(2, Purpose::TrainPictures, 0));
        assert_ne!(base, first(1 << 32 | 1, Purpose::TrainPictures, 0));
        assert_ne!(base, first(1, Purpose::TestPictures, 0));
        assert_ne!(base, first(1, Purpose::TrainPictures, 1));
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut draws = Draws::new(3, Purpose::EpochOrder, 0);
        let mut counts = [0_i32; 7];
        for _ in 0..70_000 {
            counts[draws.below(7) as usize] += 1;
        }
        // Each value is expected 10,000 times, with a standard deviation of 93.
        assert!(counts.iter().all(|c| (c - 10_000).abs() < 500), "{counts:?}");
    }

    #[test]
    fn below_rejects_biased_words() {
        // `n` is three quarters of 2^32. Without rejection, numbers with residue 0 modulo 3 would be drawn twice as
        // often as the others.
        let n = 3 << 30;
        let mut draws = Draws::new(4, Purpose::EpochOrder, 0);
        let mut residues = [0_i32; 3];
        for _ in 0..30_000 {
            residues[(draws.below(n) % 3) as usize] += 1;
        }
        // Each residue is expected 10,000 times, with a standard deviation of 82. A biased draw gives residue 0 about
        // 15,000 times, and each other residue about 7,500 times.
        assert!(residues.iter().all(|c| (c - 10_000).abs() < 450), "{residues:?}");
    }

    #[test]
    fn bell_has_mean_zero_and_variance_one() {
        let mut draws = Draws::new(5, Purpose::EpochOrder, 0);
        let values: Vec<f64> = (0..100_000).map(|_| f64::from(draws.bell())).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.015, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
    }
}
