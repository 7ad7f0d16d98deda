#!/usr/bin/env python3
"""Writes images of CIFAR-10 as a folder of pictures, which `wgrad train --data OUT` reads.

    pip install numpy pillow
    python scripts/pictures_of_cifar10.py cifar-10-batches-bin OUT --per-class 200
    python scripts/pictures_of_cifar10.py cifar-10-batches-bin OUT --per-class 200 --classes bird,cat,dog,frog,ship
    python scripts/pictures_of_cifar10.py cifar-10-batches-bin OUT --per-class 200 --rotate

The pictures are OUT/train/CLASS/NUMBER.jpg from the training images and OUT/test/CLASS/NUMBER.jpg from the test images, a
quarter as many. With --rotate the classes are the turns by quarters, `turn-0` to `turn-270`, counter-clockwise; each image is
in one of them. `--format png` keeps the pixels, and `--csv` also writes lists in the order of the records.
"""
import argparse
import pathlib

import numpy as np
from PIL import Image

NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def records(folder, files):
    data = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in files])
    return data[:, 0], data[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def write(out, part, labels, images, a):
    wanted = a.classes.split(",") if a.classes else NAMES
    per_class = a.per_class if part == "train" else max(1, a.per_class // 4)
    counts, lines = dict.fromkeys(wanted, 0), []
    for number, (label, image) in enumerate(zip(labels, images)):
        name = NAMES[label]
        if name not in counts or counts[name] == per_class:
            continue
        turn = 90 * (counts[name] % 4)
        counts[name] += 1
        kind = f"turn-{turn}" if a.rotate else name
        path = out / part / kind / f"{number:05}.{a.format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(image).rotate(turn if a.rotate else 0)
        picture.save(path, **({"quality": 95} if a.format == "jpg" else {}))
        lines.append(f"{path.relative_to(out)},{kind}\n")
    if a.csv:
        (out / f"{part}.csv").write_text("file,label\n" + "".join(lines))
    print(f"{out / part}: {len(lines)} pictures")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--per-class", type=int, default=200)
    p.add_argument("--classes", default="")
    p.add_argument("--rotate", action="store_true")
    p.add_argument("--format", choices=["jpg", "png"], default="jpg")
    p.add_argument("--csv", action="store_true")
    a = p.parse_args()
    training = [f"data_batch_{i}.bin" for i in range(1, 6)]
    write(a.out, "train", *records(a.data, [name for name in training if (a.data / name).exists()]), a)
    write(a.out, "test", *records(a.data, ["test_batch.bin"]), a)


if __name__ == "__main__":
    main()
