#!/usr/bin/env python3
"""Moves weights from wgrad to PyTorch and back: strict loading, and the same results on the same images.

    pip install torch safetensors numpy
    python tests/torch_loads_weights.py [cpu|gpu]

Trains a small network for one epoch on random pictures in CIFAR-10's format, and loads its
model.safetensors into the same network in PyTorch with strict=True. Compares the results of both on the
test pictures: the logits, and loss and accuracy over each picture and its mirror image. Then wgrad
evaluates weights that PyTorch saved. Builds wgrad if necessary. docs/performance/accuracy.md has a sample output.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "golden"))
from resnet9 import ResNet9  # noqa: E402

WIDTH = 8
DEVICE = sys.argv[1] if len(sys.argv) > 1 else "cpu"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
# wgrad computes in f32, PyTorch here in f64. The bound is on the relative L2 error of the logits.
TOLERANCE = 1e-5


def wgrad(*arguments):
    command = ["cargo", "run", "--release", "--quiet", "--", *map(str, arguments), "--device", DEVICE]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def write_records(path, count, random):
    """Writes records of 3,073 bytes: the label, then the red, green and blue planes."""
    labels = random.integers(0, 10, (count, 1), dtype=np.uint8)
    pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
    np.concatenate([labels, pixels], 1).tofile(path)
    return pixels.reshape(count, 3, 32, 32), labels[:, 0]


def torch_evaluation(net, pixels, labels):
    """Returns the logits, and [loss, loss of the mean probabilities over both views, accuracy of that mean]."""
    x = torch.from_numpy(pixels).double() / 255
    x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    labels = torch.from_numpy(labels).long()
    net.double().eval()
    with torch.no_grad():
        logits = net(x)
        one, other = logits.softmax(1), net(x.flip(3)).softmax(1)
    both = (one + other) / 2
    accuracy = (both.argmax(1) == labels).double().mean()
    losses = [F.nll_loss(one.log(), labels).item(), F.nll_loss(both.log(), labels).item()]
    return logits, [*losses, accuracy.item()]


def wgrad_evaluation(weights, data):
    file = weights.with_suffix(".logits")
    out = wgrad("eval", "--weights", weights, "--data", "cifar10", "--data-dir", data, "--logits", file,
                "--tta", "flip", "--json")
    found = json.loads(out)
    return load_file(file)["logits"].double(), [found["one_view"]["loss"], found["loss"], found["accuracy"]]


def compare(what, theirs, ours):
    (their_logits, theirs), (our_logits, ours) = theirs, ours
    error = ((our_logits - their_logits).norm() / their_logits.norm()).item()
    print(f"{what} on {DEVICE}: the logits are {error:.1e} apart; loss, loss of two views, accuracy:")
    print(f"  PyTorch {theirs}\n  wgrad   {ours}")
    if not (error <= TOLERANCE and np.allclose(theirs, ours, rtol=0, atol=TOLERANCE)):
        sys.exit(f"{what}: the evaluations differ")


def main():
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data, run = folder / "cifar", folder / "run"
        data.mkdir()
        write_records(data / "data_batch_1.bin", 256, random)
        test = write_records(data / "test_batch.bin", 100, random)

        wgrad("train", "--data", "cifar10", "--data-dir", data, "--out", run,
              "--width", WIDTH, "--batch-size", 32, "--epochs", 1, "--max-lr", 0.01)
        ours = load_file(run / "model.safetensors")
        net = ResNet9(WIDTH)
        net.load_state_dict(ours, strict=True)
        counts = {int(v) for k, v in ours.items() if k.endswith("num_batches_tracked")}
        if counts != {256 // 32}:
            sys.exit(f"num_batches_tracked is {counts}")
        model = run / "model.safetensors"
        compare("wgrad's weights", torch_evaluation(net, *test), wgrad_evaluation(model, data))

        net = ResNet9(WIDTH)
        net(torch.randn(64, 3, 32, 32))  # updates the running statistics
        saved = folder / "torch.safetensors"
        save_file(net.state_dict(), saved)
        compare("PyTorch's weights", torch_evaluation(net, *test), wgrad_evaluation(saved, data))
    print("ok")


if __name__ == "__main__":
    main()
