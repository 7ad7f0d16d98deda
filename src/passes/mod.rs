//! Passes, functions that read or rewrite a tape: differentiation, fusion, dead-code elimination, the search for the last
//! feature map, the split into two parts, recomputation, the memory plan, the listing and the drawing.

pub mod autodiff;
pub mod averages;
pub mod dead;
pub mod draw;
mod error;
pub mod feature_map;
pub mod fuse;
pub mod plan;
pub mod print;
pub mod recompute;
pub mod split;
pub mod work;

pub use autodiff::{Gradients, backward, backward_from, backward_scaled};
pub use averages::read_averages;
pub use dead::eliminate_dead;
pub use draw::draw;
pub use error::PlanError;
pub use feature_map::feature_map;
pub use fuse::fuse;
pub use plan::{Plan, PlanOptions, Tiles};
pub use print::listing;
pub use recompute::recompute;
pub use split::{Front, split_behind, split_frozen, split_update};
pub use work::Work;
