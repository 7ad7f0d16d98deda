//! Fuzz targets for every file that wgrad reads. `docs/fuzzing.md` describes how to run them.

use std::alloc::System;
use std::panic;
use std::sync::Once;

use cap::Cap;

pub mod targets;

/// An allocator that refuses allocations beyond a limit. The process then aborts, and the fuzzer reports the input.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Runs a target on an input. The target may have at most `max_bytes` bytes allocated at any time.
pub fn run(target: fn(&[u8]), max_bytes: usize, data: &[u8]) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // The report allocates memory.
            lift_limit();
            report(panic);
        }));
    });
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + max_bytes).expect("above what is in use");
    target(data);
    lift_limit();
}

fn lift_limit() {
    ALLOCATOR.set_limit(usize::MAX).expect("above what is in use");
}
