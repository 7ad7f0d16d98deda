//! Random draws whose values are part of wgrad's contract.
//!
//! A seed has to give the same pictures and the same order of images on every platform and after
//! every upgrade of a dependency. ChaCha8 is a published cipher, so its words never change; what
//! `rand` makes of them (`shuffle`, `random_range`, `seed_from_u64`) may change with any major
//! release and has. So the key is laid out here byte by byte, and the few draws that are needed
//! are written out.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for.
///
/// The purpose is part of the key, so equal seeds of different purposes share no numbers. The
/// values are fixed for good: changing one changes what a seed means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// The order of the training images in one epoch; the stream is the epoch.
    EpochOrder = 1,
    /// The built-in training pictures; the stream is the picture's index.
    TrainPictures = 2,
    /// The built-in test pictures; the stream is the picture's index.
    TestPictures = 3,
    /// Which training images are held out.
    Validation = 4,
}

/// A stream of random draws, a function of `(seed, purpose, stream)` and nothing else.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream numbered `stream` of a seed: independent of every other stream, and as cheap to
    /// start, so that each picture and each epoch has its own and the order of the work (the
    /// number of threads) cannot matter.
    pub fn new(seed: u64, purpose: Purpose, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Uniform over all 32-bit words.
    pub fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform over `0..n`, without bias.
    ///
    /// The high half of `word * n` is nearly uniform: each value owns either `floor(2^32 / n)`
    /// words or one more. Rejecting the first `2^32 mod n` low halves of each value makes the
    /// shares equal (Lemire, "Fast Random Integer Generation in an Interval", 2019).
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

    /// Brings a list into an order of which each is equally likely.
    pub fn shuffle(&mut self, list: &mut [u32]) {
        // Fisher and Yates: position i takes any of those not yet placed.
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as u32 + 1) as usize);
        }
    }

    /// Uniform over the multiples of 2^-24 in `[0, 1)`, each of which an `f32` holds exactly.
    pub fn unit(&mut self) -> f32 {
        (self.word() >> 8) as f32 / (1 << 24) as f32
    }

    /// Uniform in `[low, high)`, up to rounding.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A sum of four uniform bytes, centred and scaled to mean 0 and variance 1: close enough to a
    /// normal number for image noise, never beyond 3.46, and one word of the generator.
    pub fn bell(&mut self) -> f32 {
        // Four bytes have the mean 4 * 127.5 and the variance 4 * (256^2 - 1) / 12.
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
        // And the key layout, frozen: a change here changes what every seed means.
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
        // 10,000 expected each, with a standard deviation of 93.
        assert!(counts.iter().all(|c| (c - 10_000).abs() < 500), "{counts:?}");
    }

    #[test]
    fn below_rejects_what_would_bias_it() {
        // Just above 2^31: without rejection, multiples of 2 would be drawn about twice as
        // often as a uniform draw's share near the bottom; the mean of `value % 2` tells.
        let n = 3 << 30;
        let mut draws = Draws::new(4, Purpose::EpochOrder, 0);
        let mut residues = [0_i32; 3];
        for _ in 0..30_000 {
            residues[(draws.below(n) % 3) as usize] += 1;
        }
        // 10,000 expected each, with a standard deviation of 82; the biased draw gives 15,000
        // to residue 0, and 7,500 to each of the others.
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
