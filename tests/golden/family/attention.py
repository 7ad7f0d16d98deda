"""The residual attention networks (Wang et al. 2017), with the structure of the published Caffe files.

Names are those of tengshaofeng/ResidualAttentionNetwork-pytorch. Unlike there, a unit has `conv4` only where the shape changes,
and the enlarged mask is added to the skip unit alone. The networks for CIFAR are not the paper's, which has no table of them.
"""
import torch.nn.functional as F
from torch import nn

from .layers import conv, mean


class Unit(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        inner = o // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, inner, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(inner), conv(inner, inner, 3, stride)
        self.bn3, self.conv3 = nn.BatchNorm2d(inner), conv(inner, o, 1)
        if stride != 1 or i != o:
            self.conv4 = conv(i, o, 1, stride)

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        y = self.conv3(F.relu(self.bn3(y)))
        return y + (self.conv4(a) if hasattr(self, "conv4") else x)


class Module(nn.Module):
    """The mask halves the plane `levels` times. At 0 levels it has the size of the trunk."""

    def __init__(self, c, levels):
        super().__init__()
        self.levels, bottom = levels, max(levels, 1)
        self.first_residual_blocks = Unit(c, c)
        self.trunk_branches = nn.Sequential(Unit(c, c), Unit(c, c))
        for level in range(1, levels):
            self.add_module(f"softmax{level}_blocks", Unit(c, c))
            self.add_module(f"skip{level}_connection_residual_block", Unit(c, c))
        self.add_module(f"softmax{bottom}_blocks", nn.Sequential(Unit(c, c), Unit(c, c)))
        for level in range(levels - 1, 0, -1):
            self.add_module(f"softmax{2 * levels - level}_blocks", Unit(c, c))
        tail = [layer for _ in range(2) for layer in (nn.BatchNorm2d(c), nn.ReLU(), conv(c, c, 1))]
        self.add_module(f"softmax{2 * bottom}_blocks", nn.Sequential(*tail, nn.Sigmoid()))
        self.last_blocks = Unit(c, c)

    def softmax(self, ix):
        return getattr(self, f"softmax{ix}_blocks")

    def forward(self, x):
        x = self.first_residual_blocks(x)
        trunk = self.trunk_branches(x)
        mask = self.mask(x, 1) if self.levels else self.softmax(1)(x)
        mask = self.softmax(2 * max(self.levels, 1))(mask)
        return self.last_blocks(trunk * mask + trunk)

    def mask(self, x, level):
        """Returns the mask of this level, enlarged to the size of x."""
        y = self.softmax(level)(F.max_pool2d(x, 3, 2, 1))
        if level < self.levels:
            skip = getattr(self, f"skip{level}_connection_residual_block")(y)
            y = self.softmax(2 * self.levels - level)(self.mask(y, level + 1) + skip)
        return F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=True)


class Attention(nn.Module):
    """`modules` are the numbers of attention modules in the three stages, and `levels` those of their masks."""

    def __init__(self, modules, cifar=False, width=64, classes=1000):
        super().__init__()
        self.cifar, levels = cifar, (2, 1, 0) if cifar else (3, 2, 1)
        stem = conv(3, width, 3) if cifar else conv(3, width, 7, 2)
        self.conv1 = nn.Sequential(stem, nn.BatchNorm2d(width), nn.ReLU())
        self.names, i = [], width
        for s in range(3):
            o = 4 * width << s
            self.add(f"residual_block{s + 1}", Unit(i, o, 2 if s else 1))
            for m in range(modules[s]):
                self.add(f"attention_module{s + 1}" + (f"_{m + 1}" if m else ""), Module(o, levels[s]))
            i = o
        for b in range(4, 7):
            self.add(f"residual_block{b}", Unit(i, 32 * width, 2 if b == 4 and not cifar else 1))
            i = 32 * width
        self.mpool2 = nn.Sequential(nn.BatchNorm2d(i), nn.ReLU())
        self.fc = nn.Linear(i, classes)

    def add(self, name, module):
        self.add_module(name, module)
        self.names.append(name)

    def forward(self, x):
        x = self.conv1(x)
        if not self.cifar:
            x = F.max_pool2d(x, 3, 2, 1)
        for name in self.names:
            x = getattr(self, name)(x)
        return self.fc(mean(self.mpool2(x)))
