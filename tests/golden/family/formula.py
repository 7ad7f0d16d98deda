"""Values from a name and an index. `tests/family/formula.rs` computes the same numbers, bit for bit.

A tensor's key is the FNV-1a hash of its name. Element i, counted in PyTorch's order, is word i of SplitMix64 from this key. The
upper 24 bits of a word make a number u in (-1, 1). A value is `float32(offset + scale * u)`, computed in float64.
"""
import math

import numpy as np
import torch

# The scale of the last batch norm of a residual branch, relative to the others, and the mean shift of the other batch norms. Both
# make a deep network well conditioned: without the shift, PyTorch's float32 misses the logits of plain56 by 1.2e-3, with it by 2e-5.
BRANCH_END, SHIFT = 0.15, 0.5


def fnv1a(text):
    key = 0xCBF29CE484222325
    for byte in text.encode():
        key = (key ^ byte) * 0x100000001B3 % 2**64
    return key


def words(name, n):
    """Returns n words of 64 bits."""
    z = np.arange(1, n + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(fnv1a(name))
    for shift, factor in [(30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)]:
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    return z ^ (z >> np.uint64(31))


def values(name, shape, scale, offset=0.0):
    """Returns a float64 tensor whose values float32 represents exactly."""
    u = ((words(name, math.prod(shape)) >> np.uint64(40)).astype(np.float64) + 0.5) / 2.0**23 - 1.0
    return torch.from_numpy((offset + scale * u).astype(np.float32)).to(torch.float64).reshape(shape)


def labels(name, n, classes):
    return torch.from_numpy((words(name, n) % np.uint64(classes)).astype(np.int64))


def distribution(name, shape, weight_axes, branch_ends):
    """Returns the scale and the offset of a parameter. `weight_axes` is the number of axes of the layer's weight.

    Weights keep the variance of activations: a convolution as before a ReLU, a linear layer as without one. `branch_ends` are the
    ends of the names of batch norms at the end of a residual branch.
    """
    if len(shape) == 4:
        return math.sqrt(6.0 / math.prod(shape[1:])), 0.0
    if len(shape) == 2:
        return math.sqrt(3.0 / shape[1]), 0.0
    layer, _, which = name.rpartition(".")
    is_end = any(layer.endswith(end) for end in branch_ends)
    factor = BRANCH_END if is_end else 1.0
    if which == "weight":
        return 0.25 * factor, factor
    return 0.1 * factor, 0.0 if is_end or weight_axes > 1 else SHIFT


def fill(net, branch_ends):
    """Fills the parameters of a network. Its batch norms will hold the statistics of the last training batch."""
    parameters = dict(net.named_parameters())
    with torch.no_grad():
        for name, p in parameters.items():
            weight_axes = parameters[name.rpartition(".")[0] + ".weight"].ndim
            p.copy_(values(name, p.shape, *distribution(name, tuple(p.shape), weight_axes, branch_ends)))
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = 1.0
        if isinstance(m, torch.nn.Dropout):
            m.p = 0.0
    return net
