//! Passes over a tape: differentiation, fusion, dead code, the plan of memory, the listing and the drawing.

pub mod autodiff;
pub mod dead;
pub mod draw;
pub mod fuse;
pub mod plan;
pub mod print;

pub use autodiff::Gradients;
pub use plan::{Plan, PlanOptions, Tiles};
