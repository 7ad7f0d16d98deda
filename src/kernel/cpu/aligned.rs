//! Memory that starts a cache line.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line. A vector of AVX-512 that crosses a cache line takes two loads or stores.
pub const CACHE_LINE: usize = 64;

/// Elements from the start of a cache line on. The values of the CPU device and its scratch memory are in such vectors:
/// with numbers that start in the middle of a line, direct convolutions take up to a tenth longer.
#[derive(Debug, Default)]
pub struct AlignedVec<T> {
    values: Vec<T>,
    /// The index of the first element.
    start: usize,
    len: usize,
}

impl<T: bytemuck::Zeroable + Clone> AlignedVec<T> {
    /// Returns `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let others = (CACHE_LINE / size_of::<T>()).saturating_sub(1);
        let values = vec![T::zeroed(); len + others];
        // `align_offset` may also return a larger number, with which alignment is not possible.
        let start = values.as_ptr().align_offset(CACHE_LINE).min(others);
        Self { values, start, len }
    }

    /// Makes room for `len` elements. The present ones are lost if there is too little.
    pub fn grow(&mut self, len: usize) {
        if self.len < len {
            // The old memory is freed before the new is allocated.
            self.values = Vec::new();
            *self = Self::zeros(len);
        }
    }
}

impl<T> Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.start..][..self.len]
    }
}

impl<T> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_start_a_cache_line() {
        for len in [0, 1, 5, 1000] {
            let mut values = AlignedVec::<f32>::zeros(len);
            assert_eq!((values.len(), values.as_ptr().addr() % CACHE_LINE), (len, 0));
            values.fill(1.0);
            assert!(values.iter().all(|&v| v == 1.0));
        }
        let mut values = AlignedVec::<f64>::default();
        assert!(values.is_empty());
        for (len, expected) in [(3, 3), (2, 3), (40, 40)] {
            values.grow(len);
            assert_eq!(*values, vec![0.0; expected]);
        }
    }
}
