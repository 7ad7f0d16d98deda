//! The scratch memory of the ops' references. The session allocates it when a program is loaded. It is large enough for
//! each node of all programs, because only one node runs at a time.

use std::sync::Mutex;

use crate::kernel::Real;
use crate::tape::{Scratch, ScratchSize, ThreadScratch};

/// A session's scratch memory.
#[derive(Default)]
pub(super) struct ScratchMemory<T> {
    shared: Vec<T>,
    threads: Vec<Mutex<Vec<T>>>,
}

impl<T: Real> ScratchMemory<T> {
    /// Returns the number of bytes of the scratch memory after a call of [`ScratchMemory::grow`] with this size. Each
    /// element counts as four bytes, as in a plan, even in a session of f64.
    pub fn bytes_after(&self, size: ScratchSize) -> u64 {
        let n = self.shared.len().max(size.shared) + n_threads() * self.per_thread(size);
        4 * n as u64
    }

    fn per_thread(&self, size: ScratchSize) -> usize {
        let parts = self.threads.iter().map(|part| part.lock().map_or(0, |part| part.len()));
        parts.max().unwrap_or(0).max(size.per_thread)
    }

    /// Grows the memory to at least this size.
    pub fn grow(&mut self, size: ScratchSize) {
        let per_thread = self.per_thread(size);
        self.shared.resize(self.shared.len().max(size.shared), T::ZERO);
        self.threads.resize_with(n_threads(), Mutex::default);
        for part in &mut self.threads {
            *part = Mutex::new(vec![T::ZERO; per_thread]);
        }
    }

    /// Returns the scratch memory for the run of one node.
    pub fn lend(&mut self) -> Scratch<'_, T> {
        Scratch { shared: &mut self.shared, threads: ThreadScratch::new(&self.threads) }
    }
}

fn n_threads() -> usize {
    rayon::current_num_threads()
}
