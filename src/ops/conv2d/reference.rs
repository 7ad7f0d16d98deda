//! The CPU references of a convolution's three nodes: matrix products with patches (im2col), one block of pixels at a
//! time.

mod d_input;
mod d_weight;
mod forward;
mod pooled;
mod winograd;
