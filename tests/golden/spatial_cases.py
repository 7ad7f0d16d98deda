"""Cases of pools and resizes: ops of one input that change the rows and columns of planes."""
import math

import torch
import torch.nn.functional as F

from op_cases import augment
from writer import F64, f32, leaf


def spatial(w, gen):
    pools(w, gen)
    adaptive(w, gen)
    blur_pools(w, gen)
    resizes(w, gen)
    augment(w, gen, "augment_reflect", "reflect")


def case(w, gen, name, shape, compute, **attributes):
    """Writes x, y = compute(x) and the gradient of x."""
    x = leaf(f32(gen, *shape))
    y = compute(x)
    dy = f32(gen, *y.shape)
    y.backward(dy)
    w(name, dict(x=x, dy=dy, y=y, dx=x.grad), **attributes)


def pools(w, gen):
    # N, C, H, W, kernel, stride, padding. The last window is whole, is clipped by the padded plane, or would begin in
    # the padding behind the plane and so does not exist (5x5); or the only window is larger than the plane (2x2).
    planes = [
        (2, 5, 8, 7, 3, 2, 0), (2, 3, 9, 6, 3, 2, 1), (1, 4, 2, 2, 3, 2, 0), (2, 3, 5, 5, 2, 2, 1), (1, 2, 7, 10, 2, 3, 1),
    ]
    for i, (n, c, h, wd, k, s, p) in enumerate(planes):
        window = dict(kernel=k, stride=s, padding=p)
        case(w, gen, f"max_pool2d_ceil_{i:02}", (n, c, h, wd), lambda x: F.max_pool2d(x, k, s, p, ceil_mode=True),
             op="max_pool2d", ceil_mode=1, **window)
        for include in [0, 1]:
            case(w, gen, f"avg_pool2d_ceil_{i:02}_{include}", (n, c, h, wd),
                 lambda x: F.avg_pool2d(x, k, s, p, ceil_mode=True, count_include_pad=bool(include)),
                 op="avg_pool2d", ceil_mode=1, count_include_pad=include, **window)
    for i, (k, s, p) in enumerate([(3, 1, 1), (3, 2, 1), (2, 2, 0)]):
        case(w, gen, f"avg_pool2d_exclude_{i:02}", (2, 3, 7, 6),
             lambda x: F.avg_pool2d(x, k, s, p, count_include_pad=False),
             op="avg_pool2d", kernel=k, stride=s, padding=p, count_include_pad=0)


def adaptive(w, gen):
    for i, (h, wd, out) in enumerate([(14, 14, (4, 4)), (7, 9, (3, 4)), (3, 2, (5, 4)), (8, 6, (4, 2)), (5, 6, (1, 1))]):
        case(w, gen, f"adaptive_avg_pool2d_{i:02}", (2, 3, h, wd), lambda x: F.adaptive_avg_pool2d(x, out),
             op="adaptive_avg_pool2d")


def blur_pools(w, gen):
    """timm's `BlurPool2d` with a filter of size 3 and stride 2."""
    line = torch.tensor([1, 2, 1], dtype=F64) / 4
    for i, (h, wd) in enumerate([(8, 6), (7, 9), (2, 3), (3, 2), (5, 5)]):
        c = 3
        kernel = torch.outer(line, line).expand(c, 1, 3, 3)
        blur = lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=c)
        case(w, gen, f"blur_pool_{i:02}", (2, c, h, wd), blur, op="blur_pool")


def resizes(w, gen):
    sizes = [((4, 4), (8, 8)), ((7, 7), (14, 14)), ((5, 6), (3, 4)), ((1, 3), (4, 7)), ((3, 4), (1, 1)), ((6, 5), (13, 9))]
    for i, (plane, out) in enumerate(sizes):
        shape = (2, 3, *plane)
        for corners in [0, 1]:
            case(w, gen, f"resize_bilinear_{i:02}_{corners}", shape,
                 lambda x: F.interpolate(x, out, mode="bilinear", align_corners=bool(corners)),
                 op="resize_bilinear", align_corners=corners)
        # PyTorch computes o * (in / out) in float32, which can be just below a whole number. Such sizes are no cases.
        for n_in, n_out in zip(plane, out):
            scale = torch.tensor(n_in / n_out, dtype=torch.float32)
            assert all(math.floor(o * scale) == o * n_in // n_out for o in range(n_out)), (n_in, n_out)
        case(w, gen, f"resize_nearest_{i:02}", shape, lambda x: F.interpolate(x, out, mode="nearest"), op="resize_nearest")
