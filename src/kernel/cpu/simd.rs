//! Vector instructions that the processor is found to have when the program runs.
//!
//! The compiler's own loops use the instructions that every processor of the target has: for x86-64, vectors of four
//! f32 and no fused multiply-add. A kernel here is compiled once for each instruction set (AVX-512, AVX2 with FMA,
//! NEON, none), and [`widest`] chooses one of them. A kernel is worth it if it computes much for each number that it
//! reads: a loop that only streams through memory gains nothing (docs/rejected.md).

use pulp::{Arch, Simd, WithSimd};

use super::lanes::LANES;
use crate::kernel::Real;

/// Runs a kernel with the widest vectors that this processor has.
pub fn widest<K: WithSimd>(kernel: K) -> K::Output {
    Arch::new().dispatch(kernel)
}

/// Returns the number of vectors that hold [`LANES`] numbers.
#[inline(always)]
pub const fn vectors_of_lanes<T: Real, S: Simd>() -> usize {
    LANES * size_of::<T>() / size_of::<T::Vector<S>>()
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::*;

    struct Shuffle<'a, T, const MASK: usize>(&'a mut [T; LANES]);

    impl<T: Real, const MASK: usize> WithSimd for Shuffle<'_, T, MASK> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for vector in T::vectors_mut::<S>(self.0) {
                *vector = T::shuffle_xor::<S, MASK>(simd, *vector);
            }
        }
    }

    fn assert_shuffled<T: Real, const MASK: usize>() {
        let numbers: [T; LANES] = from_fn(|lane| T::from_count(lane));
        let expected: [T; LANES] = from_fn(|lane| T::from_count(lane ^ MASK));
        let check = |set: &str, n_lanes: usize, run: &dyn Fn(Shuffle<'_, T, MASK>)| {
            let mut shuffled = numbers;
            run(Shuffle(&mut shuffled));
            assert!(MASK >= n_lanes || shuffled == expected, "{set}, mask {MASK}: {shuffled:?}");
        };
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(v3) = pulp::x86::V3::try_new() {
                // No instruction: the vectors have 16 bytes.
                check("an array", 16 / size_of::<T>(), &|shuffle| {
                    Simd::vectorize(pulp::x86::V3_128b(v3), shuffle);
                });
                check("AVX2", 32 / size_of::<T>(), &|shuffle| Simd::vectorize(v3, shuffle));
            }
            if let Some(v4) = pulp::x86::V4::try_new() {
                check("AVX-512", 64 / size_of::<T>(), &|shuffle| Simd::vectorize(v4, shuffle));
            }
        }
    }

    #[test]
    fn lanes_are_exchanged() {
        assert_shuffled::<f32, 1>();
        assert_shuffled::<f32, 2>();
        assert_shuffled::<f32, 4>();
        assert_shuffled::<f32, 8>();
        #[cfg(feature = "f64")]
        {
            assert_shuffled::<f64, 1>();
            assert_shuffled::<f64, 2>();
            assert_shuffled::<f64, 4>();
        }
    }

    struct Square<'a, T>(&'a mut [T]);

    impl<T: Real> WithSimd for Square<'_, T> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let one = T::splat(simd, T::ONE);
            let values = T::vectors_mut::<S>(self.0);
            assert_eq!(values.len(), 2 * vectors_of_lanes::<T, S>());
            values.iter_mut().for_each(|v| *v = T::mul_add(simd, *v, *v, one));
        }
    }

    #[test]
    fn vectors_cover_whole_lanes() {
        let mut values: Vec<f32> = (0..2 * LANES).map(|i| i as f32).collect();
        widest(Square(&mut values));
        assert!(values.iter().enumerate().all(|(i, &v)| v == (i * i + 1) as f32), "{values:?}");
    }
}
