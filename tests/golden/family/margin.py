"""The decisions of a forward pass: ReLUs and max pools."""
import math

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
MARGIN = 1e-5


class Unsafe(Exception):
    """A decision has a smaller margin than MARGIN."""


class Margin(TorchDispatchMode):
    """Raises `Unsafe` at a decision with a small margin: the distance of a ReLU's input from 0, or of a pool's two largest values.

    A float32 engine rounds differently from float64. If a margin is smaller than the rounding error, the engine may take the other
    branch, and every later number differs. Ties at 0 after a ReLU are the same in any precision and do not count.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (aten.relu.default, aten.relu_.default, aten.leaky_relu.default, aten.leaky_relu_.default):
            self.check(args[0].abs())
        elif func is aten.max_pool2d_with_indices.default:
            self.pool(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def check(self, margins):
        if ((margins < MARGIN) & (margins != 0)).any():
            raise Unsafe

    def pool(self, x, kernel, stride=(), padding=(0, 0), dilation=(1, 1), ceil_mode=False):
        k, s, p = kernel[0], (stride or kernel)[0], padding[0]
        # With ceil_mode, the last window may reach beyond the padded plane.
        more = s if ceil_mode else 0
        x = torch.nn.functional.pad(x.detach(), (p, p + more, p, p + more), value=-math.inf)
        top = x.unfold(2, k, s).unfold(3, k, s).flatten(4).topk(2).values
        gap = top[..., 0] - top[..., 1]
        self.check(gap[torch.isfinite(gap)])
