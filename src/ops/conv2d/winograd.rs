//! The choice of Winograd's algorithm F(2x2, 3x3) for a convolution with a 3x3 kernel and stride 1, and for its
//! gradients.
//!
//! Derivation: `docs/ops/conv2d.md`. The CPU's kernels are in `reference/winograd/`.

use super::{Conv2d, ConvGeometry};

/// Least number of input channels, and of output channels.
const MIN_CHANNELS: usize = 64;
/// Least number of pairs of an input and an output channel. With 64 -> 64 channels, the additional roundings brought
/// gradients of an attention module to 1.3e-4 of PyTorch's in f64; 1e-4 is the bound for every block of the family.
const MIN_PAIRS: usize = 64 * 128;
/// Least number of pixels of the output, over all images, for the CPU. With fewer, the transform of the weight takes
/// longer than the multiplications that it saves.
const MIN_PIXELS: usize = 256;

/// Returns true if the algorithm can compute a convolution with a weight of shape `[KH, KW, Ci/groups, Co]`, and saves
/// time on some device for some number of pixels.
pub(crate) fn fits(conv: &Conv2d, weight: &[usize]) -> bool {
    let window = &conv.window;
    let is_3x3 = window.size == [3, 3] && window.stride == [1, 1];
    let [padding_h, padding_w] = window.padding;
    let (ci, co) = (weight[2], weight[3]);
    is_3x3
        && padding_h.max(padding_w) <= 2
        && conv.groups == 1
        && ci.min(co) >= MIN_CHANNELS
        && ci * co >= MIN_PAIRS
}

/// Returns true if the algorithm takes less time on the CPU than the kernels that compute a convolution by its
/// definition. The choice depends on the shape alone, because the last digits of the results depend on it.
pub(super) fn pays_on_cpu(g: &ConvGeometry, pool: Option<[usize; 2]>) -> bool {
    pool.is_none_or(|pool| pool == [2, 2]) && g.n_pixels() >= MIN_PIXELS
}

/// Returns the attribute that listings of the tape show for a node that may use the algorithm.
pub(super) fn attribute(winograd: bool) -> &'static str {
    if winograd { ", Winograd" } else { "" }
}
