"""Pre-activation networks for CIFAR (He et al. 2016), and wide residual networks (Zagoruyko and Komodakis 2016).

Where a block changes the number of channels, its shortcut reads the activated input. Names of the wide networks are those of
xternalz/WideResNet-pytorch. The others have the names of the post-activation networks, with the final batch norm `bn`.
"""
import torch.nn.functional as F
from torch import nn

from .layers import conv, mean, option_a


class Basic(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.changes, self.o, self.stride = i != o, o, stride
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), conv(o, o, 3)

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return y + (option_a(a, self.o, self.stride) if self.changes else x)


class Bottleneck(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        inner = o // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, inner, 1, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(inner), conv(inner, inner, 3)
        self.bn3, self.conv3 = nn.BatchNorm2d(inner), conv(inner, o, 1)
        if i != o:
            self.shortcut = nn.Sequential(conv(i, o, 1, stride))

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        y = self.conv3(F.relu(self.bn3(y)))
        return y + (self.shortcut(a) if hasattr(self, "shortcut") else x)


class PreAct(nn.Module):
    """Three stages of `depth` blocks. `expansion` is 1 for basic blocks and 4 for bottlenecks."""

    def __init__(self, depth, block=Basic, expansion=1, width=16, classes=10):
        super().__init__()
        self.conv1 = conv(3, width, 3)
        i = width
        for s in range(3):
            blocks = []
            for b in range(depth):
                o = expansion * (width << s)
                blocks.append(block(i, o, 2 if s > 0 and b == 0 else 1))
                i = o
            self.add_module(f"layer{s + 1}", nn.Sequential(*blocks))
        self.bn, self.linear = nn.BatchNorm2d(i), nn.Linear(i, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(mean(F.relu(self.bn(x))))


class WideBlock(nn.Module):
    """The published networks drop out between the two convolutions; here the rate is 0."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), conv(o, o, 3)
        if i != o:
            self.convShortcut = conv(i, o, 1, stride)

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return y + (self.convShortcut(a) if hasattr(self, "convShortcut") else x)


class Stage(nn.Module):
    def __init__(self, i, o, stride, depth):
        super().__init__()
        self.layer = nn.Sequential(*[WideBlock(o if b else i, o, 1 if b else stride) for b in range(depth)])

    def forward(self, x):
        return self.layer(x)


class Wide(nn.Module):
    def __init__(self, depth, widen, width=16, classes=10):
        super().__init__()
        n, o = (depth - 4) // 6, width * widen
        self.conv1 = conv(3, width, 3)
        self.block1, self.block2, self.block3 = Stage(width, o, 1, n), Stage(o, 2 * o, 2, n), Stage(2 * o, 4 * o, 2, n)
        self.bn1, self.fc = nn.BatchNorm2d(4 * o), nn.Linear(4 * o, classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(mean(F.relu(self.bn1(x))))
