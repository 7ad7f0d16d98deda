"""PyramidNet (Han et al. 2017), additive, for CIFAR. Names are those of dyhan0920/PyramidNet-PyTorch.

Every block is wider than the one before it. Its shortcut has no parameters: an average of 2x2 where the stride is 2, and zeros
behind the old channels.
"""
import math

import torch.nn.functional as F
from torch import nn

from .layers import conv, mean


def shortcut(x, o, stride):
    if stride == 2:
        x = F.avg_pool2d(x, 2)
    return F.pad(x, (0, 0, 0, 0, 0, o - x.shape[1]))


class Basic(nn.Module):
    expansion = 1

    def __init__(self, i, planes, stride):
        super().__init__()
        self.stride = stride
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, planes, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(planes), conv(planes, planes, 3)
        self.bn3 = nn.BatchNorm2d(planes)

    def forward(self, x):
        y = self.conv1(self.bn1(x))
        y = self.bn3(self.conv2(F.relu(self.bn2(y))))
        return y + shortcut(x, y.shape[1], self.stride)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, i, planes, stride):
        super().__init__()
        self.stride = stride
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, planes, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(planes), conv(planes, planes, 3, stride)
        self.bn3, self.conv3 = nn.BatchNorm2d(planes), conv(planes, 4 * planes, 1)
        self.bn4 = nn.BatchNorm2d(4 * planes)

    def forward(self, x):
        y = self.conv1(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(y)))
        y = self.bn4(self.conv3(F.relu(self.bn3(y))))
        return y + shortcut(x, y.shape[1], self.stride)


class Pyramid(nn.Module):
    """Three stages of `depth` blocks. Over all blocks, the width grows from 16 by `alpha`, if the stem has 16 channels."""

    def __init__(self, depth, alpha, block=Basic, width=16, classes=10):
        super().__init__()
        self.conv1, self.bn1 = conv(3, width, 3), nn.BatchNorm2d(width)
        i, planes, growth = width, float(width), alpha * width / 16 / (3 * depth)
        for s in range(3):
            blocks = []
            for b in range(depth):
                planes += growth
                blocks.append(block(i, math.floor(planes + 0.5), 2 if s > 0 and b == 0 else 1))
                i = math.floor(planes + 0.5) * block.expansion
            self.add_module(f"layer{s + 1}", nn.Sequential(*blocks))
        self.bn_final, self.fc = nn.BatchNorm2d(i), nn.Linear(i, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)))))
        return self.fc(mean(F.relu(self.bn_final(x))))
