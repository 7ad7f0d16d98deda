"""The residual networks of He et al. (2015) for CIFAR, and the networks that differ from them in one thing.

Names are those of akamaster/pytorch_resnet_cifar10, and of kuangliu/pytorch-cifar for the networks of four stages.
"""
import torch
import torch.nn.functional as F
from torch import nn

from .layers import conv, mean, option_a


class Basic(nn.Module):
    """`join` is the end of the branch: "a" and "b" add the shortcut, "plain" has none, "concat" joins by a convolution."""

    expansion = 1

    def __init__(self, i, o, stride, join):
        super().__init__()
        self.o, self.stride, self.join = o, stride, join
        self.conv1, self.bn1 = conv(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3), nn.BatchNorm2d(o)
        if join == "b" and (stride != 1 or i != o):
            self.shortcut = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o))
        if join == "concat":
            self.merge = conv(2 * o, o, 1)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.join == "plain":
            return F.relu(y)
        if self.join == "b":
            return F.relu(y + (self.shortcut(x) if hasattr(self, "shortcut") else x))
        s = option_a(x, self.o, self.stride)
        return F.relu(self.merge(torch.cat([y, s], 1)) if self.join == "concat" else y + s)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, i, planes, stride, _):
        super().__init__()
        o = 4 * planes
        self.conv1, self.bn1 = conv(i, planes, 1), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv(planes, planes, 3, stride), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = conv(planes, o, 1), nn.BatchNorm2d(o)
        self.shortcut = nn.Sequential()
        if stride != 1 or i != o:
            self.shortcut = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """A stage for each entry of `depths`; the channels double from stage to stage."""

    def __init__(self, depths, join="a", block=Basic, width=16, classes=10):
        super().__init__()
        self.conv1, self.bn1 = conv(3, width, 3), nn.BatchNorm2d(width)
        i = width
        for s, depth in enumerate(depths):
            blocks = []
            for b in range(depth):
                blocks.append(block(i, width << s, 2 if s > 0 and b == 0 else 1, join))
                i = (width << s) * block.expansion
            self.add_module(f"layer{s + 1}", nn.Sequential(*blocks))
        self.n_stages = len(depths)
        self.linear = nn.Linear(i, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for s in range(self.n_stages):
            x = getattr(self, f"layer{s + 1}")(x)
        return self.linear(mean(x))
