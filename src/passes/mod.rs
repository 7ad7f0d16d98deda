//! Passes, functions that read or rewrite a tape: differentiation, fusion, dead-code elimination, the split in front
//! of the first trained layer, the memory plan, the listing and the drawing.

pub mod autodiff;
pub mod averages;
pub mod dead;
pub mod draw;
mod error;
pub mod fuse;
pub mod plan;
pub mod print;
pub mod split;
pub mod work;

pub use autodiff::{Gradients, backward, backward_from};
pub use averages::read_averages;
pub use dead::eliminate_dead;
pub use draw::draw;
pub use error::PlanError;
pub use fuse::fuse;
pub use plan::{Plan, PlanOptions, Tiles};
pub use print::listing;
pub use split::{Front, split_frozen};
pub use work::Work;
