//! The CPU references of a convolution's three nodes: matrix products with patches (im2col), one block of pixels at a
//! time, or the direct convolution, for groups and few channels.

mod d_input;
mod d_weight;
mod direct;
mod few_pixels;
mod forward;
mod pooled;
mod product;
mod winograd;
