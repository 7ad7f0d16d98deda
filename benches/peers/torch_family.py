#!/usr/bin/env python3
"""Peer benchmark: a training step of a network of docs/networks.md in PyTorch.

A step is forward, cross-entropy, backward and Adam on random input, as in a step of `wgrad profile`. The networks are
torchvision's, timm's, and the modules of tests/golden/family. The script prints one JSON object.

    pip install torch torchvision timm numpy
    python torch_family.py --network resnet50 --image 224 --batch 8 --classes 1000
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))

from family.table import NETWORKS  # noqa: E402


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--network", required=True, choices=sorted(NETWORKS), metavar="NAME")
    a.add_argument("--image", type=int, default=224, help="rows and columns of the images")
    a.add_argument("--batch", type=int, default=8)
    a.add_argument("--classes", type=int, default=1000)
    a.add_argument("--threads", type=int, default=0, help="0: PyTorch's default, all cores")
    a.add_argument("--steps", type=int, default=3)
    a.add_argument("--warmup", type=int, default=1)
    a = a.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)

    net = NETWORKS[a.network].build(a.classes).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    images = torch.randn(a.batch, 3, a.image, a.image).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(a.classes, (a.batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits = net(images)
        # In training, the networks of Szegedy et al. also return the logits of their auxiliary heads.
        logits = logits if torch.is_tensor(logits) else logits[0]
        F.cross_entropy(logits, labels).backward()
        optimizer.step()

    for _ in range(a.warmup):
        step()
    times = []
    for _ in range(a.steps):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    median = statistics.median(times)
    result = {"network": a.network, "image": a.image, "batch": a.batch, "classes": a.classes}
    result |= {"torch": torch.__version__, "threads": torch.get_num_threads(), "step_s": times}
    print(json.dumps(result | {"step_s_median": median, "images_per_s": a.batch / median}))


if __name__ == "__main__":
    main()
