#!/usr/bin/env python3
"""Peer of `wgrad train --recipe he2015`: a residual network of He et al. (2015) for CIFAR-10, trained in PyTorch.

The recipe is that of docs/training.md: SGD with momentum 0.9 and weight decay 1e-4, batches of 128, a learning rate of 0.1
that falls to a tenth after half and after three quarters of the epochs, random crops from images with a black border, and
flips. An incomplete batch at the end of an epoch is dropped. The network is the module of tests/golden/family. The script
prints one JSON line per epoch.

    pip install torch torchvision timm numpy
    python torch_he2015.py --data DIR --epochs 12 --seed 0
"""

import argparse
import json
import pathlib
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))

from family.table import NETWORKS  # noqa: E402
from torch_resnet9 import Cifar10  # noqa: E402


class Cropped(Cifar10):
    """A split of CIFAR-10 whose training images are cropped and flipped, and have no square cut out."""

    def augmented(self, picks):
        n = len(picks)
        rows = torch.randint(9, (n, 1)) + self.span
        flip = torch.rand(n, 1) < 0.5
        columns = torch.randint(9, (n, 1)) + torch.where(flip, self.span.flip(0), self.span)
        at = picks.view(-1, 1, 1, 1), self.channel, rows[:, None, :, None], columns[:, None, None, :]
        return self.normalised(self.padded[at]), self.labels[picks]


def initialise(net):
    """Draws the weights as wgrad does: normal, with a variance of 2 / fan_in; biases as PyTorch's linear layer."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)


@torch.no_grad()
def accuracy(net, split):
    net.eval()
    right = 0
    for start in range(0, len(split), 500):
        images, labels = split.plain(start, start + 500)
        logits = net(images.contiguous(memory_format=torch.channels_last))
        right += (logits.argmax(1) == labels).sum().item()
    net.train()
    return right / len(split)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the CIFAR-10 binary batches")
    parser.add_argument("--network", default="resnet20", choices=sorted(NETWORKS), metavar="NAME")
    parser.add_argument("--epochs", type=int, default=164)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="number of CPU threads; without it, PyTorch's default")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    device = torch.device("cpu")
    train = Cropped([str(args.data / f"data_batch_{n}.bin") for n in range(1, 6)], device)
    test = Cifar10([str(args.data / "test_batch.bin")], device)
    net = NETWORKS[args.network].build(10)
    initialise(net)
    net = net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    milestones = [args.epochs / 2, 3 * args.epochs / 4]

    n_batches = len(train) // 128
    for epoch in range(args.epochs):
        begin = time.perf_counter()
        rate = 0.1 * 0.1 ** sum(epoch >= milestone for milestone in milestones)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = 0.0
        order = torch.randperm(len(train))[: n_batches * 128]
        for picks in order.split(128):
            images, labels = train.augmented(picks)
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(net(images.contiguous(memory_format=torch.channels_last)), labels)
            loss.backward()
            optimizer.step()
            losses += loss.item()
        seconds = time.perf_counter() - begin
        line = {"epoch": epoch + 1, "rate": rate, "train_loss": losses / n_batches, "test_accuracy": accuracy(net, test)}
        print(json.dumps(line | {"seconds": seconds, "images_per_s": n_batches * 128 / seconds}), flush=True)


if __name__ == "__main__":
    main()
