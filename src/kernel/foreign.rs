//! Marks calls into other crates that allocate memory on their own.
//!
//! A replayed step allocates nothing of ours. The test that holds it to that, `tests/allocations.rs`,
//! counts allocations; what the matrix product, the thread pool or the driver allocates is none of ours,
//! and the calls into them are marked here, thread by thread.

use std::cell::Cell;

thread_local! {
    /// Whether this thread is in a marked call. It needs neither memory nor a destructor, so that an
    /// allocator may look at it.
    static FOREIGN: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call into another crate, and lets [`is_foreign`] say so on this thread. What it runs on other
/// threads is not marked.
pub fn foreign<R>(call: impl FnOnce() -> R) -> R {
    marked(true, call)
}

/// Runs what a foreign call calls back: it is ours again.
pub fn ours<R>(call: impl FnOnce() -> R) -> R {
    marked(false, call)
}

fn marked<R>(foreign: bool, call: impl FnOnce() -> R) -> R {
    /// Puts back what was before, after a panic too.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            FOREIGN.set(self.0);
        }
    }
    let _restore = Restore(FOREIGN.replace(foreign));
    call()
}

/// Whether this thread is within a foreign call.
pub fn is_foreign() -> bool {
    FOREIGN.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_ends_with_the_call() {
        assert!(!is_foreign());
        foreign(|| {
            ours(|| assert!(!is_foreign()));
            assert!(is_foreign());
        });
        let panicked = std::panic::catch_unwind(|| foreign(|| panic!("on purpose")));
        assert!(panicked.is_err() && !is_foreign());
    }

    #[test]
    fn a_mark_is_the_threads_own() {
        foreign(|| std::thread::scope(|scope| scope.spawn(|| assert!(!is_foreign())).join()))
            .expect("not marked");
    }
}
