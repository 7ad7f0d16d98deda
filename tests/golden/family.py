#!/usr/bin/env python3
"""Generates the references of the networks with torchvision, timm and the modules in `family/`: a file for each family.

`family/table.py` lists the networks and `family/formula.py` has their weights. A file holds, in float64:

* `networks`: logits and losses of each network at its own width, in training and in evaluation, and the error of PyTorch's
  float32 beside them. The evaluation reads the statistics of the training pass.
* `reduced`: the loss and the gradients of networks of two blocks a stage and an eighth of the width;
* `blocks`: the output and the gradients of single blocks, for an input and an upstream gradient of the formula;
* `names`: the name and the shape of every entry of the state dicts, and the number of parameters.

Of a gradient, the norm and 16 elements are stored. `redraw` is the number of the first draw of inputs in which no ReLU and no
max pool decides by less than 1e-5.

    pip install torch torchvision timm numpy
    python family.py OUT_DIR [FAMILY ...] [--only networks|reduced|blocks|names]
"""
import argparse
import gzip
import json
import pathlib

import torch

from family import reference
from family.blocks import PARTS
from family.table import NETWORKS, reduced


def write(path, document):
    text = json.dumps(document, separators=(",", ":"))
    # Without a time in its header, the file depends on its content alone.
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{path}: {path.stat().st_size} bytes", flush=True)


def generate(out, family, kinds):
    path = out / f"{family}.json.gz"
    document = json.loads(gzip.decompress(path.read_bytes())) if path.exists() else {}
    members = [name for name, network in NETWORKS.items() if network.family == family]
    if "names" in kinds:
        document["names"] = [reference.names(name) for name in members]
    if "blocks" in kinds:
        parts = [(name, *part) for name in members for part in PARTS.get(name, [])]
        document["blocks"] = [reference.block(*part) for part in parts]
    if "reduced" in kinds:
        small = [name for name, network in reduced().items() if network.family == family]
        document["reduced"] = [reference.reduced_network(name) for name in small]
    if "networks" in kinds:
        document["networks"] = [reference.network(name) for name in members]
    write(path, document)


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("families", nargs="*")
    a.add_argument("--only", nargs="*", default=["names", "blocks", "reduced", "networks"])
    a = a.parse_args()
    torch.set_num_threads(1)
    a.out.mkdir(parents=True, exist_ok=True)
    for name in a.families or dict.fromkeys(network.family for network in NETWORKS.values()):
        generate(a.out, name, a.only)
