"""Blocks of the networks, at their real width, one or more of each kind."""
import functools

import torch
from torch import nn

from .layers import mean
from .table import NETWORKS

# A part of a network is the path of a module. `<layer1` is all that is before `layer1`, and `>layer4` all that is behind `layer4`.
# Columns: part, size of the image, batch size. A large plane has a small batch, because a draw with safe margins must exist.
PARTS = {
    "resnet18": [("layer1.0", 64, 2), ("layer2.0", 64, 2), ("layer4.1", 64, 4)],
    "resnet50": [("<layer1", 64, 2), ("layer1.0", 64, 1), ("layer1.1", 64, 1), ("layer3.0", 64, 2), ("layer4.2", 128, 1), (">layer4", 64, 4)],
    "wide_resnet101_2": [("layer2.0", 64, 2), ("layer4.1", 128, 1)],
    "resnext50_32x4d": [("layer1.1", 64, 1), ("layer4.0", 64, 4)],
    "resnext101_64x4d": [("layer3.0", 64, 2)],
    "resnet50c": [("<layer1", 64, 2)],
    "resnet18d": [("layer2.0", 64, 2)],
    "resnet50d": [("layer1.0", 64, 1), ("layer2.0", 64, 2), ("layer3.0", 104, 1)],
    "resnetv2_18": [("stages.0.blocks.0", 64, 2), ("stages.1.blocks.0", 64, 2)],
    "resnetv2_50": [("<stages", 64, 1), ("stages.0.blocks.0", 64, 1), ("stages.2.blocks.0", 64, 2), ("stages.3.blocks.1", 128, 1), (">stages", 64, 4)],
    "resnetv2_50d": [("<stages", 64, 1), ("stages.1.blocks.0", 64, 2)],
    "res2net50_26w_4s": [("layer1.0", 64, 1), ("layer1.1", 64, 1), ("layer2.0", 64, 2)],
    "res2net50_14w_8s": [("layer3.1", 64, 2)],
    "res2net50_48w_2s": [("layer2.0", 64, 2)],
    "res2next50": [("layer1.0", 64, 1), ("layer3.1", 64, 2)],
    "res2net50d": [("layer2.0", 64, 2)],
    "googlenet": [("<inception3a", 64, 1), ("inception3a", 64, 4), ("inception4e", 64, 4), ("aux1", 64, 4)],
    "inception_v3": [
        ("<Mixed_5b", 75, 1), ("Mixed_5b", 299, 1), ("Mixed_5d", 299, 1), ("Mixed_6a", 299, 1), ("Mixed_6b", 299, 1), ("Mixed_7a", 299, 1),
        ("Mixed_7b", 299, 1), ("Mixed_7c", 299, 1), ("AuxLogits", 299, 2)],
    "resnet20": [("layer1.0", 32, 2), ("layer2.0", 32, 2)],
    "resnet20-b": [("layer2.0", 32, 2)],
    "plain20": [("layer2.0", 32, 2)],
    "resnet20-concat": [("layer2.0", 32, 2)],
    "resnet18-cifar": [("layer2.0", 16, 2)],
    "resnet50-cifar": [("layer1.0", 16, 1), ("layer2.0", 16, 2)],
    "preact20": [("layer1.0", 32, 2), ("layer2.0", 32, 2)],
    "preact164": [("layer1.0", 16, 2), ("layer2.0", 32, 2), ("layer2.1", 32, 2), (">layer3", 32, 4)],
    "wrn-28-10": [("block1.layer.0", 16, 1), ("block2.layer.0", 16, 2), ("block3.layer.1", 16, 4)],
    "resnext29-8x64d": [("stage_1.stage_1_bottleneck_0", 16, 1), ("stage_2.stage_2_bottleneck_0", 16, 1), ("stage_3.stage_3_bottleneck_1", 16, 4)],
    "res2next29-6cx24wx4s": [("layer1.0", 16, 1), ("layer2.0", 16, 1), ("layer3.1", 16, 4)],
    "pyramid110-a48": [("<layer1", 32, 2), ("layer1.0", 32, 2), ("layer2.0", 32, 2), (">layer3", 32, 4)],
    "pyramid164b-a48": [("layer1.0", 16, 2), ("layer1.1", 16, 2), ("layer2.0", 32, 2)],
    "attention56": [
        ("residual_block1", 32, 2), ("residual_block2", 64, 1), ("attention_module1", 64, 1), ("attention_module2", 64, 2),
        ("attention_module3", 64, 4), (">residual_block6", 64, 4)],
    "attention56-cifar": [("attention_module3", 16, 2)],
    "tresnet_m": [
        ("<body.layer1", 64, 1), ("body.layer1.0", 32, 4), ("body.layer2.0", 64, 2), ("body.layer3.0", 64, 2), ("body.layer3.1", 64, 2),
        ("body.layer4.0", 64, 4), (">body.layer4", 64, 4)],
}

# The modules of a stem and of a head, in order.
STEMS_AND_HEADS = {
    "resnet50<": ["conv1", "bn1", "relu", "maxpool"],
    "resnet50>": ["avgpool", nn.Flatten(), "fc"],
    "resnet50c<": ["conv1", "bn1", "act1", "maxpool"],
    "resnetv2_50<": ["stem"],
    "resnetv2_50>": ["norm", "head"],
    "resnetv2_50d<": ["stem"],
    "googlenet<": ["conv1", "maxpool1", "conv2", "conv3", "maxpool2"],
    "inception_v3<": [
        "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"],
    "preact164>": ["bn", nn.ReLU(), mean, "linear"],
    "pyramid110-a48<": ["conv1", "bn1"],
    "pyramid110-a48>": ["bn_final", nn.ReLU(), mean, "fc"],
    "attention56>": ["mpool2", mean, "fc"],
    "tresnet_m<": ["body.s2d", "body.conv1"],
    "tresnet_m>": ["head"],
}


class Entered(Exception):
    """Ends a forward pass where the part begins."""


class Part(nn.Module):
    """A part of a network as a module. The names of its parameters are those in the network."""

    def __init__(self, network, part):
        super().__init__()
        entry = NETWORKS[network]
        net = entry.build(entry.classes)
        steps = STEMS_AND_HEADS[network + part[0]] if part[0] in "<>" else [part]
        self.steps = [net.get_submodule(step) if isinstance(step, str) else step for step in steps]
        self.paths = {step: module for step, module in zip(steps, self.steps) if isinstance(step, str)}
        # `double()` and `modules()` reach the modules of this list.
        self.held = nn.ModuleList(self.paths.values())

    def named_parameters(self, *_, **__):
        for path, module in self.paths.items():
            yield from module.named_parameters(path)

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


@functools.cache
def shape(network, part, image, batch):
    """Returns the shape of the input of a part, for images of this size."""
    if part[0] == "<":
        return [batch, 3, image, image]
    entry = NETWORKS[network]
    path = STEMS_AND_HEADS[network + ">"][0] if part[0] == ">" else part
    with torch.device("meta"):
        net = entry.build(entry.classes)
        found = []

        def enter(_, args):
            found.append(args[0].shape)
            raise Entered

        net.get_submodule(path).register_forward_pre_hook(enter)
        try:
            net(torch.zeros(2, 3, image, image))
        except Entered:
            pass
    return [batch, *found[0][1:]]
