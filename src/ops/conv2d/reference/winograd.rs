//! Winograd's algorithm for the three nodes of a convolution: transforms of tiles and kernels, and 16 matrix products.

mod convolve;
pub(super) mod d_input;
pub(super) mod d_weight;
pub(super) mod forward;
mod kernel;
mod tiles;
