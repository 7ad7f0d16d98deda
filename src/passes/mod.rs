//! Passes, functions that read or rewrite a tape: differentiation, fusion, dead-code elimination, the memory plan, the
//! listing and the drawing.

pub mod autodiff;
pub mod averages;
pub mod dead;
pub mod draw;
mod error;
pub mod fuse;
pub mod plan;
pub mod print;
pub mod work;

pub use autodiff::{Gradients, backward, backward_from};
pub use averages::read_averages;
pub use dead::eliminate_dead;
pub use draw::draw;
pub use error::PlanError;
pub use fuse::fuse;
pub use plan::{Plan, PlanOptions, Tiles};
pub use print::listing;
pub use work::Work;
