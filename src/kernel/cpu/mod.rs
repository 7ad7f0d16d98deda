//! Host maths that the references of several ops share.

pub mod lanes;
pub mod matmul;

/// Elements that one task of an elementwise loop takes. Fixed, so that no result depends on the
/// number of threads, and large enough that a task outweighs its hand-over.
pub const CHUNK: usize = 1 << 14;
