//! The references of the three nodes: matrix products with patches, one block of pixels at a time.

mod d_input;
mod d_weight;
mod forward;
mod pooled;
