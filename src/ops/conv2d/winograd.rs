//! Winograd's algorithm F(2x2, 3x3) for a convolution with a 3x3 kernel and stride 1, and for its gradients.
//!
//! Derivation: `docs/ops/conv2d.md`.

use super::Conv2d;

/// Least number of input channels, and of output channels. With fewer, the transforms of the tiles take longer than the
/// multiplications that they save, on every device.
const MIN_CHANNELS: usize = 16;

/// Returns true if the algorithm can compute a convolution with a weight of shape `[KH, KW, Ci/groups, Co]`, and can
/// save time on some device.
pub(crate) fn fits(conv: &Conv2d, weight: &[usize]) -> bool {
    let window = &conv.window;
    let is_3x3 = window.size == [3, 3] && window.stride == [1, 1] && window.padding <= [2, 2];
    is_3x3 && conv.groups == 1 && weight[2..].iter().all(|&channels| channels >= MIN_CHANNELS)
}

/// Returns the attribute that listings of the tape show for a node that may use the algorithm.
pub(super) fn attribute(winograd: bool) -> &'static str {
    if winograd { ", Winograd" } else { "" }
}
