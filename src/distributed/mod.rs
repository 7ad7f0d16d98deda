//! The shards of a step, and the ranks that share them.
//!
//! A step is cut into shards ([`tree`]). One rank computes them all, or several ranks compute a part each ([`part`]). The sum
//! over the shards has the same bits in both cases ([`Reduction`]).

mod ranks;
mod reduce;
pub mod tree;

pub use ranks::Ranks;
pub use reduce::{Reduction, Sums, part};
