"""Networks of torchvision and timm, at their own width and narrow."""
import timm
import torchvision
from timm.models.resnet import ResNet as TimmResNet
from timm.models.resnetv2 import ResNetV2
from timm.models.tresnet import TResNet
from torch import nn
from torchvision.models.resnet import ResNet


def torchvision_network(name, classes):
    heads = dict(aux_logits=True, init_weights=False) if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, num_classes=classes, **heads)


def timm_network(name, classes):
    return timm.create_model(name, num_classes=classes)


class Narrow(ResNet):
    """torchvision's residual network with 1/8 of its channels."""

    def __init__(self, block, classes=10, **settings):
        super().__init__(block, [2, 2, 2, 2], num_classes=classes, **settings)
        self.fc = nn.Linear(64 * block.expansion, classes)

    def _make_layer(self, block, planes, *rest, **settings):
        if planes == 64:
            self.inplanes = 8
            self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        return super()._make_layer(block, planes // 8, *rest, **settings)


def narrow_timm(block, classes=10, **settings):
    """Returns timm's residual network with 1/8 of its channels. A stem of one convolution has 64 channels in timm, so it is replaced."""
    net = TimmResNet(block, [2, 2, 2, 2], classes, channels=(8, 16, 32, 64), **settings)
    if isinstance(net.conv1, nn.Conv2d):
        net.conv1, net.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        first = net.layer1[0]
        old = first.conv1
        first.conv1 = nn.Conv2d(8, old.out_channels, old.kernel_size, bias=False)
        first.downsample[0] = nn.Conv2d(8, 8 * block.expansion, 1, bias=False)
    return net


def narrow_v2(classes=10, channels=(32, 64, 128, 256), **settings):
    convolution = timm.layers.create_conv2d
    return ResNetV2([2, 2, 2, 2], channels, classes, stem_chs=8, conv_layer=convolution, norm_layer=timm.layers.BatchNormAct2d, **settings)


def narrow_tresnet(classes=10):
    return TResNet([2, 2, 2, 2], num_classes=classes, width_factor=1 / 8)


def narrow_inception(name, classes=10):
    """Returns a network of torchvision in which every layer has 1/8 of its channels."""
    net = torchvision_network(name, classes)
    if name == "inception_v3":
        # The auxiliary head needs images of 299 pixels, and for these there is hardly a draw with safe margins.
        net.AuxLogits = None
    for path, m in list(net.named_modules()):
        parent, _, leaf = path.rpartition(".")
        if isinstance(m, nn.Conv2d):
            i = m.in_channels if m.in_channels == 3 else m.in_channels // 8
            new = nn.Conv2d(i, m.out_channels // 8, m.kernel_size, m.stride, m.padding, bias=False)
        elif isinstance(m, nn.BatchNorm2d):
            new = nn.BatchNorm2d(m.num_features // 8, m.eps)
        elif isinstance(m, nn.Linear):
            new = nn.Linear(m.in_features // 8, classes if m.out_features == classes else m.out_features // 8)
        else:
            continue
        setattr(net.get_submodule(parent), leaf, new)
    return net
