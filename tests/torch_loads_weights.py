#!/usr/bin/env python3
"""Weights go from wgrad to PyTorch and back: strict loading, and the same results on the same images.

    pip install torch safetensors numpy
    python tests/torch_loads_weights.py [cpu|gpu]

Trains a small network for one epoch on random pictures in CIFAR-10's format, loads its
model.safetensors into PyTorch's twin with strict=True, and compares the logits that both find for the
test pictures (PyTorch in f64); then lets wgrad evaluate weights that PyTorch saved. Builds wgrad if need
be. With torch 2.9 on x86-64 it printed

    wgrad's weights on cpu: the logits are 4.0e-07 apart
    PyTorch's weights on cpu: the logits are 2.6e-07 apart
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "golden"))
from generate import ResNet9  # noqa: E402

WIDTH = 8
DEVICE = sys.argv[1] if len(sys.argv) > 1 else "cpu"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
# Of the whole tensor, relative to its norm.
TOLERANCE = 1e-5


def wgrad(*arguments):
    command = ["cargo", "run", "--release", "--quiet", "--", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def write_records(path, count, random):
    """3,073 bytes a record: the label, then the red, green and blue planes."""
    labels = random.integers(0, 10, (count, 1), dtype=np.uint8)
    pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
    np.concatenate([labels, pixels], 1).tofile(path)
    return pixels.reshape(count, 3, 32, 32)


def torch_logits(net, pixels):
    x = torch.from_numpy(pixels).double() / 255
    x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    net.double().eval()
    with torch.no_grad():
        return net(x)


def wgrad_logits(weights, data):
    file = weights.with_suffix(".logits")
    wgrad("eval", "--weights", weights, "--data", "cifar10", "--data-dir", data, "--device", DEVICE,
          "--logits", file)
    return load_file(file)["logits"].double()


def compare(what, theirs, ours):
    error = ((ours - theirs).norm() / theirs.norm()).item()
    print(f"{what} on {DEVICE}: the logits are {error:.1e} apart")
    if not error <= TOLERANCE:
        sys.exit(f"{what}: the logits differ")


def main():
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data, run = folder / "cifar", folder / "run"
        data.mkdir()
        write_records(data / "data_batch_1.bin", 256, random)
        test = write_records(data / "test_batch.bin", 100, random)

        wgrad("train", "--data", "cifar10", "--data-dir", data, "--device", DEVICE, "--out", run,
              "--width", WIDTH, "--batch-size", 32, "--epochs", 1, "--max-lr", 0.01)
        ours = load_file(run / "model.safetensors")
        net = ResNet9(WIDTH)
        net.load_state_dict(ours, strict=True)
        counts = {int(v) for k, v in ours.items() if k.endswith("num_batches_tracked")}
        if counts != {256 // 32}:
            sys.exit(f"num_batches_tracked is {counts}")
        compare("wgrad's weights", torch_logits(net, test), wgrad_logits(run / "model.safetensors", data))

        net = ResNet9(WIDTH)
        net(torch.randn(64, 3, 32, 32))  # moves the running statistics
        saved = folder / "torch.safetensors"
        save_file(net.state_dict(), saved)
        compare("PyTorch's weights", torch_logits(net, test), wgrad_logits(saved, data))
    print("ok")


if __name__ == "__main__":
    main()
