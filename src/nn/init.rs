//! Initialisation of weights: PyTorch's distributions, from a seed.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use super::Weights;
use crate::tape::{Initializer, StateBuffer, StateEntry, StateLayout};

impl Weights {
    /// Returns new weights. The values of each member of the state (a parameter or running statistic) come from its
    /// [`Initializer`].
    ///
    /// Every member has its own random stream, keyed by the seed and the member's name, so its values do not depend on
    /// the other members. The conversion from random words to numbers is done here and not by `rand`, because a new
    /// release of `rand` must not change the numbers.
    pub fn initial(layout: &StateLayout, seed: u64) -> Self {
        let fill = |buffer| {
            let mut values = vec![0.0; layout.n_elements(buffer)];
            for member in layout.members(buffer) {
                fill_member(member, seed, &mut values[member.range()]);
            }
            values
        };
        Self {
            parameters: fill(StateBuffer::Parameters),
            running_statistics: fill(StateBuffer::RunningStatistics),
            n_batches: 0,
        }
    }
}

fn fill_member(member: &StateEntry, seed: u64, values: &mut [f32]) {
    match member.initializer {
        Initializer::Constant(value) => values.fill(value),
        Initializer::Uniform { fan_in } => {
            let bound = 1.0 / (fan_in as f64).sqrt();
            let mut random = stream(seed, &member.name);
            // `unit` is uniform in 0..1, so these values are uniform in -bound..bound.
            values.fill_with(|| ((2.0 * unit(&mut random) - 1.0) * bound) as f32);
        }
        Initializer::Normal { standard_deviation } => {
            let mut random = stream(seed, &member.name);
            values.fill_with(|| (normal(&mut random) * standard_deviation) as f32);
        }
    }
}

/// Returns a number that is uniform in 0..1. It is a multiple of 2^-24: the upper 24 bits of a random word fit f32
/// exactly.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.next_u32() >> 8) / f64::from(1 << 24)
}

/// Returns a number with the standard normal distribution, from two uniform ones (Box and Muller, 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    // `unit` is below 1, so the radius is above 0 and has a logarithm.
    let (radius, angle) = (1.0 - unit(random), unit(random));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Returns the random generator for the member (parameter or statistic) `name`. The key is the seed's eight bytes and
/// 24 zeros; a hash of the name selects the stream. The function makes the key itself, because a new release of `rand`
/// may change `seed_from_u64`.
fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(key);
    random.set_stream(fnv1a(name));
    random
}

/// Returns the 64-bit FNV-1a hash. The standard library's hashes may change between releases; FNV-1a does not.
fn fnv1a(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Layout;

    fn layout(names: &[&str]) -> StateLayout {
        let mut layout = StateLayout::default();
        for name in names {
            let uniform = Initializer::Uniform { fan_in: 27 };
            layout.add(StateBuffer::Parameters, name, &[3, 3, 3, 50], Layout::ConvWeight, uniform);
        }
        layout.add(
            StateBuffer::RunningStatistics,
            "running_var",
            &[3],
            Layout::Plain,
            Initializer::Constant(1.0),
        );
        layout
    }

    #[test]
    fn the_hash_has_its_published_values() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_member_does_not_depend_on_the_others() {
        let (ab, b) = (layout(&["a", "b"]), layout(&["b"]));
        let of = |layout: &StateLayout, seed| {
            let member = layout.find("b").expect("a member").1;
            Weights::initial(layout, seed).parameters[member.range()].to_vec()
        };
        assert_eq!(of(&ab, 7), of(&b, 7));
        assert_ne!(of(&b, 7), of(&b, 8));
        let all = Weights::initial(&ab, 7).parameters;
        assert_ne!(all[ab.parameters[0].range()], all[ab.parameters[1].range()]);
    }

    #[test]
    fn values_are_uniform_and_the_padding_is_zero() {
        let layout = layout(&["a"]);
        let weights = Weights::initial(&layout, 1);
        let member = &layout.parameters[0];
        let values = &weights.parameters[member.range()];
        let bound = 1.0 / 27_f32.sqrt();
        assert!(values.iter().all(|v| v.abs() <= bound));
        let n = values.len() as f32;
        let mean = values.iter().sum::<f32>() / n;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / n;
        // The limits are at least five standard errors. One standard error is 0.016 `bound` for the mean, and 0.008
        // `bound`^2 for the variance.
        assert!(mean.abs() < 0.08 * bound, "{mean}");
        assert!((variance / (bound * bound) - 1.0 / 3.0).abs() < 0.045, "{variance}");
        assert!(weights.parameters[member.range().end..].iter().all(|&v| v == 0.0));
        assert_eq!(weights.running_statistics[..4], [1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn normal_weights_have_the_mean_deviation_and_tails_of_a_normal_distribution() {
        let mut layout = StateLayout::default();
        let normal = Initializer::Normal { standard_deviation: 1.0 / 3.0 };
        let shape = [3, 3, 30, 80];
        layout.add(StateBuffer::Parameters, "a", &shape, Layout::ConvWeight, normal);
        let values = Weights::initial(&layout, 1).parameters;
        // The factor 3 makes the standard deviation 1.
        let values: Vec<f64> = values[..21_600].iter().map(|&v| 3.0 * f64::from(v)).collect();
        let part = |is_in: fn(f64) -> bool| {
            values.iter().filter(|&&v| is_in(v)).count() as f64 / values.len() as f64
        };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
        // The limits are five standard errors of each statistic for 21 600 values.
        assert!(mean.abs() < 0.034, "{mean}");
        assert!((variance - 1.0).abs() < 0.048, "{variance}");
        assert!((part(|v| v.abs() < 1.0) - 0.6827).abs() < 0.016);
        assert!((part(|v| v.abs() > 2.0) - 0.0455).abs() < 0.007);
    }

    #[test]
    fn values_are_stable_across_releases() {
        let layout = layout(&["prep.0.weight"]);
        let values = Weights::initial(&layout, 42).parameters;
        // The expected numbers were computed with another implementation of ChaCha8.
        let expected = [0xbdfd_9fae_u32, 0x3e2e_0006, 0x3d2b_2f5d, 0xbe0e_32dc];
        assert_eq!(values[..4], expected.map(f32::from_bits));
    }
}
