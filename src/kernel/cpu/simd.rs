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
    use super::*;

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
