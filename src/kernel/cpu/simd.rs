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

/// Bytes of a cache line. A vector of AVX-512 that crosses a cache line takes two loads.
pub const CACHE_LINE: usize = 64;

/// Number of elements that a buffer needs beyond those that [`aligned`] returns.
pub const SLACK: usize = CACHE_LINE / size_of::<f32>();

/// Returns `n` elements of a buffer, from the start of a cache line on.
///
/// # Panics
/// If the buffer has fewer than `n` + [`SLACK`] elements.
pub fn aligned<T>(buffer: &mut [T], n: usize) -> &mut [T] {
    // `align_offset` may also return a larger number, with which alignment is not possible.
    let start = buffer.as_ptr().align_offset(CACHE_LINE).min(SLACK);
    &mut buffer[start..start + n]
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

    struct Spread<'a, const G: usize>(&'a [f32; LANES], &'a mut [f32; LANES], usize);

    impl<const G: usize> WithSimd for Spread<'_, G> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Spread(numbers, spread, member) = self;
            for (vector, to) in f32::vectors_mut::<S>(spread).iter_mut().enumerate() {
                *to = f32::of_group::<S, G>(simd, numbers, vector, member);
            }
        }
    }

    fn assert_spread<const G: usize>() {
        let numbers: [f32; LANES] = from_fn(|lane| lane as f32);
        for member in 0..G {
            let expected: [f32; LANES] = from_fn(|lane| numbers[lane / G * G + member]);
            let mut spread = [0.0; LANES];
            widest(Spread::<G>(&numbers, &mut spread, member));
            assert_eq!(spread, expected, "groups of {G}, member {member}");
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                spread = [0.0; LANES];
                Simd::vectorize(v3, Spread::<G>(&numbers, &mut spread, member));
                assert_eq!(spread, expected, "AVX2, groups of {G}, member {member}");
            }
        }
    }

    #[test]
    fn lanes_get_a_member_of_their_group() {
        assert_spread::<1>();
        assert_spread::<2>();
        assert_spread::<4>();
        assert_spread::<8>();
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
    fn aligned_elements_start_a_cache_line() {
        let mut buffer = [0.0_f32; 5 + SLACK + 3];
        for skip in 0..3 {
            let elements = aligned(&mut buffer[skip..], 5);
            assert_eq!((elements.len(), elements.as_ptr() as usize % CACHE_LINE), (5, 0));
        }
    }

    #[test]
    fn vectors_cover_whole_lanes() {
        let mut values: Vec<f32> = (0..2 * LANES).map(|i| i as f32).collect();
        widest(Square(&mut values));
        assert!(values.iter().enumerate().all(|(i, &v)| v == (i * i + 1) as f32), "{values:?}");
    }
}
