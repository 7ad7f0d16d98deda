"""The network in PyTorch, with the names in `model.safetensors`."""
import torch
import torch.nn.functional as F


def conv_bn(i, o, pool):
    layers = [torch.nn.Conv2d(i, o, 3, padding=1, bias=False)]
    if pool:
        layers.append(torch.nn.MaxPool2d(2))
    return torch.nn.Sequential(*layers, torch.nn.BatchNorm2d(o), torch.nn.ReLU())


class ResNet9(torch.nn.Module):
    """The project's network, at any width (the default is 64), for images with any number of channels."""

    def __init__(self, width, channels=3, classes=10):
        super().__init__()
        self.prep = conv_bn(channels, width, False)
        self.layer1 = conv_bn(width, 2 * width, True)
        self.res1 = torch.nn.Sequential(conv_bn(2 * width, 2 * width, False), conv_bn(2 * width, 2 * width, False))
        self.layer2 = conv_bn(2 * width, 4 * width, True)
        self.layer3 = conv_bn(4 * width, 8 * width, True)
        self.res2 = torch.nn.Sequential(conv_bn(8 * width, 8 * width, False), conv_bn(8 * width, 8 * width, False))
        self.fc = torch.nn.Linear(8 * width, classes, bias=False)

    def forward(self, x):
        x = self.layer1(self.prep(x))
        x = x + self.res1(x)
        x = self.layer3(self.layer2(x))
        x = x + self.res2(x)
        return self.fc(F.max_pool2d(x, x.shape[2:]).flatten(1))
