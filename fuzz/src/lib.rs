//! Fuzz targets for every file that wgrad reads; `docs/fuzzing.md` says how to run them.

use std::alloc::System;

use cap::Cap;

pub mod targets;

/// Refuses memory beyond a limit, on which the process ends and the fuzzer reports.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Runs a target on an input, with as many bytes of memory as it may have at a time.
pub fn run(target: fn(&[u8]), max_bytes: usize, data: &[u8]) {
    let limit = ALLOCATOR.allocated() + max_bytes;
    ALLOCATOR.set_limit(limit).expect("it is above what is in use");
    target(data);
    ALLOCATOR.set_limit(usize::MAX).expect("it is above what is in use");
}
