"""Prints the images per second with which PyTorch's DataLoader decodes JPEGs and resizes them for an evaluation:
Resize(256), CenterCrop(224). The folder is filled with 1,000 JPEGs of 500 x 375 pixels if it does not exist. Requires
torchvision.

    python benches/peers/torch_pictures.py --pictures FOLDER --workers 2
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def write(folder: Path, n: int = 1_000) -> None:
    """Writes JPEGs of random waves and soft noise, which take about as many bytes as photographs of this size."""
    x, y = np.meshgrid(np.linspace(0, 1, 500), np.linspace(0, 1, 375))
    for ix in range(n):
        random = np.random.default_rng(ix)
        picture = np.zeros((375, 500, 3))
        for _ in range(6):
            a, b, phase = random.uniform(-30, 30, 2).tolist() + [random.uniform(0, 6)]
            picture += np.sin(a * x + b * y + phase)[..., None] * random.uniform(-30, 30, 3)
        small = Image.fromarray(random.integers(0, 256, (188, 250, 3), dtype=np.uint8))
        picture += (np.asarray(small.resize((500, 375), Image.Resampling.BICUBIC)) - 128.0) * 0.4
        path = folder / f"class{ix % 10}" / f"{ix:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(picture + 128, 0, 255).astype(np.uint8)).save(path, quality=90)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    if not args.pictures.exists():
        write(args.pictures)
    torch.set_num_threads(1)
    transform = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()])
    loader = DataLoader(
        datasets.ImageFolder(args.pictures, transform),
        batch_size=50,
        num_workers=args.workers,
        persistent_workers=True,
    )
    for _ in range(5):
        start = time.perf_counter()
        n = sum(len(labels) for _, labels in loader)
        print(f"{n / (time.perf_counter() - start):.0f} images/s")


if __name__ == "__main__":
    main()
