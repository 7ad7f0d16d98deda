//! Vocabulary that ops, passes and devices share: kernel launches, the scalars of a step, and, for the CPU references
//! of the ops, number types and matrix products.

pub mod cpu;
pub mod launch;
pub mod real;
pub mod step;
pub mod tile;

pub use launch::{Binding, Constant, Dispatch, Kernels, Launch, Shader, Span, Target, grid};
pub use real::Real;
pub use step::StepScalars;
pub use tile::Tile;
