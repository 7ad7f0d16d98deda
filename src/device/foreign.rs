//! Marks calls into other crates that allocate memory on their own.
//!
//! A replayed step allocates nothing of ours. The test that holds it to that counts allocations; what
//! the matrix product's, the thread pool's or the driver's code allocates is none of ours, and the calls
//! into it are marked here, thread by thread.

use std::cell::Cell;

thread_local! {
    /// How many marked calls this thread is in. It needs neither memory nor a destructor, so that an
    /// allocator may look at it.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs `call`, and lets [`is_foreign`] say so on this thread. What `call` runs on other threads is not
/// marked.
pub fn foreign<R>(call: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _leave = Leave;
    call()
}

/// Whether this thread is within a marked call.
pub fn is_foreign() -> bool {
    DEPTH.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_ends_with_the_call() {
        assert!(!is_foreign());
        assert!(foreign(|| foreign(|| ()) == () && is_foreign()));
        let panicked = std::panic::catch_unwind(|| foreign(|| panic!("on purpose")));
        assert!(panicked.is_err() && !is_foreign());
    }

    #[test]
    fn a_mark_is_the_threads_own() {
        foreign(|| std::thread::scope(|scope| scope.spawn(|| assert!(!is_foreign())).join()))
            .expect("not marked");
    }
}
