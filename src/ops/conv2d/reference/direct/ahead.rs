//! The memory that a direct convolution prefetches.

use crate::kernel::cpu::prefetch::Ahead;

/// Two ranges of memory that the next row of a result needs, or the next band of the gradient of the weight.
#[derive(Clone, Copy, Default)]
pub struct NextRows<'a, T> {
    pub rows: [Ahead<'a, T>; 2],
    /// The number of parts that are prefetched already.
    pub done: usize,
}

impl<T> NextRows<'_, T> {
    /// Prefetches the part after those that are done and `n` others.
    #[inline(always)]
    pub fn prefetch(&self, n: usize) {
        for rows in &self.rows {
            rows.prefetch(self.done + n);
        }
    }
}
