"""ResNeXt-29 (Xie et al. 2017) and Res2NeXt-29 (Gao et al. 2019) for CIFAR: three stages of three blocks.

Names are those of prlz77/ResNeXt.pytorch, and for Res2NeXt those of timm, whose block this file uses.
"""
from collections import OrderedDict

import torch.nn.functional as F
from timm.models.res2net import Bottle2neck
from torch import nn

from .layers import conv, mean


class Bottleneck(nn.Module):
    def __init__(self, i, o, stride, groups, base_width):
        super().__init__()
        inner = groups * (o * base_width // 256)
        self.conv_reduce, self.bn_reduce = conv(i, inner, 1), nn.BatchNorm2d(inner)
        self.conv_conv, self.bn = conv(inner, inner, 3, stride, groups), nn.BatchNorm2d(inner)
        self.conv_expand, self.bn_expand = conv(inner, o, 1), nn.BatchNorm2d(o)
        self.shortcut = nn.Sequential()
        if i != o:
            shortcut = [("shortcut_conv", conv(i, o, 1, stride)), ("shortcut_bn", nn.BatchNorm2d(o))]
            self.shortcut = nn.Sequential(OrderedDict(shortcut))

    def forward(self, x):
        y = F.relu(self.bn_reduce(self.conv_reduce(x)))
        y = F.relu(self.bn(self.conv_conv(y)))
        return F.relu(self.bn_expand(self.conv_expand(y)) + self.shortcut(x))


class ResNeXt29(nn.Module):
    def __init__(self, groups, base_width, depth=3, width=64, classes=10):
        super().__init__()
        self.conv_1_3x3, self.bn_1 = conv(3, width, 3), nn.BatchNorm2d(width)
        i = width
        for s in range(1, 4):
            o, blocks = 4 * (width << (s - 1)), OrderedDict()
            for b in range(depth):
                stride = 2 if s > 1 and b == 0 else 1
                blocks[f"stage_{s}_bottleneck_{b}"] = Bottleneck(i, o, stride, groups, base_width)
                i = o
            self.add_module(f"stage_{s}", nn.Sequential(blocks))
        self.classifier = nn.Linear(i, classes)

    def forward(self, x):
        x = F.relu(self.bn_1(self.conv_1_3x3(x)))
        return self.classifier(mean(self.stage_3(self.stage_2(self.stage_1(x)))))


class Res2NeXt29(nn.Module):
    def __init__(self, groups, base_width, scale, depth=3, width=64, classes=10):
        super().__init__()
        self.conv1, self.bn1 = conv(3, width, 3), nn.BatchNorm2d(width)
        i = width
        for s in range(3):
            planes, blocks = width << s, []
            for b in range(depth):
                stride = 2 if s > 0 and b == 0 else 1
                down = None
                if b == 0:
                    down = nn.Sequential(conv(i, 4 * planes, 1, stride), nn.BatchNorm2d(4 * planes))
                blocks.append(Bottle2neck(i, planes, stride, down, groups, base_width, scale, norm_layer=nn.BatchNorm2d))
                i = 4 * planes
            self.add_module(f"layer{s + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(i, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(mean(self.layer3(self.layer2(self.layer1(x)))))
