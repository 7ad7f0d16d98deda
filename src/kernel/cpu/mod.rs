//! Computations on the CPU that the references of several ops share: matrix products and loops over channels.

pub mod aligned;
pub mod lanes;
pub mod matmul;
pub mod parallel;
pub mod prefetch;
pub mod shuffle;
pub mod simd;

/// Elements per task of an elementwise loop. The number is fixed, so results do not depend on the number of threads. A
/// task of this size takes longer than its scheduling.
pub const CHUNK: usize = 1 << 14;
