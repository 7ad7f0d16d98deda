"""The residual networks for CIFAR in PyTorch (He et al. 2015, shortcuts without parameters).

Names and structure are those of akamaster/pytorch_resnet_cifar10.
"""
import torch
import torch.nn.functional as F


class Block(torch.nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(o)
        self.relu1 = torch.nn.ReLU()
        self.conv2 = torch.nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(o)
        self.relu2 = torch.nn.ReLU()
        self.stride, self.pad = stride, (o - i) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.stride != 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return self.relu2(y + x)


class ResNetCifar(torch.nn.Module):
    """6 * blocks + 2 layers, at any width (the paper's is 16)."""

    def __init__(self, blocks, width):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        self.relu = torch.nn.ReLU()

        def stage(i, o, stride):
            return torch.nn.Sequential(Block(i, o, stride), *[Block(o, o, 1) for _ in range(blocks - 1)])

        self.layer1 = stage(width, width, 1)
        self.layer2 = stage(width, 2 * width, 2)
        self.layer3 = stage(2 * width, 4 * width, 2)
        self.linear = torch.nn.Linear(4 * width, 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))
