"""Cases of the random resized crop and of random erasing: boxes from Philox's words, and resized boxes, by the formulas
in float64 and by torchvision."""
import math

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as TF
from PIL import Image

from op_cases import philox
from writer import f32

SEED, EPOCH = 0x0123_4567_89AB_CDEF, 7
CROP_STREAM, ERASING_STREAM = 0xFFFFFFFF, 0xFFFFFFFE


def pictures(w, gen):
    torch.manual_seed(5)
    for name, size, scale, ratio in [
        ("square", (32, 32), (0.08, 1.0), (3 / 4, 4 / 3)),
        ("wide", (375, 500), (0.08, 1.0), (3 / 4, 4 / 3)),
        ("narrow", (640, 90), (0.3, 0.9), (0.5, 3.0)),
        ("strip", (10, 3000), (0.5, 1.0), (3 / 4, 4 / 3)),
    ]:
        crop_boxes(w, name, size, scale, ratio)
    for name, size, p in [("square", (32, 32), 0.25), ("wide", (96, 128), 1.0)]:
        erasing_boxes(w, name, size, p)
    for name, (h, wd), to, sizes in [
        ("down", (90, 120), (33, 33), [(90, 120), (120, 90), (70, 3)]),
        ("small", (40, 70), (8, 8), [(40, 70), (70, 40), (3, 70), (9, 9)]),
        ("up", (20, 30), (64, 64), [(20, 30), (30, 20), (7, 3)]),
        ("oblong", (30, 50), (20, 33), [(30, 50), (50, 30), (33, 20), (1, 1)]),
    ]:
        resized(w, gen, name, h * wd, to, sizes)
    erased(w, gen)


def words(numbers, stream, attempt):
    counter = [numbers, np.full_like(numbers, EPOCH), np.full_like(numbers, stream), np.full_like(numbers, attempt)]
    return [v.astype(np.float64) / 2**32 for v in philox(counter, [SEED & 0xFFFFFFFF, SEED >> 32])]


def attempts(numbers, stream, size, scale, ratio, most):
    """Returns the first of ten boxes that `most` accepts, (top, left, height, width), and -1 without one. `ratio` is
    that of width to height."""
    rows, columns = size
    boxes = np.full((len(numbers), 4), -1, np.int64)
    for attempt in range(10):
        a, b, c, d = words(numbers, stream, attempt)
        area = rows * columns * (scale[0] + a * (scale[1] - scale[0]))
        r = np.exp(math.log(ratio[0]) + b * (math.log(ratio[1]) - math.log(ratio[0])))
        height, width = np.round(np.sqrt(area / r)), np.round(np.sqrt(area * r))
        box = np.stack([np.floor(c * (rows - height + 1)), np.floor(d * (columns - width + 1)), height, width], 1)
        free = (boxes[:, 0] < 0) & most(height, width)
        boxes[free] = box[free]
    return boxes


def crop_boxes(w, name, size, scale, ratio):
    rows, columns = size
    numbers = np.arange(10_000, dtype=np.int64) * 7
    boxes = attempts(numbers, CROP_STREAM, size, scale, ratio,
                     lambda h, wd: (h > 0) & (h <= rows) & (wd > 0) & (wd <= columns))
    # torchvision's fallback, a box in the middle.
    height, width = rows, columns
    if columns / rows < ratio[0]:
        height = round(columns / ratio[0])
    elif columns / rows > ratio[1]:
        width = round(rows * ratio[1])
    boxes[boxes[:, 0] < 0] = [(rows - height) // 2, (columns - width) // 2, height, width]
    image = torch.zeros(1, rows, columns)
    theirs = [T.RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in numbers]
    write_boxes(w, f"random_resized_crop_boxes_{name}", boxes, np.array(theirs), size, op="random_resized_crop_boxes",
                least_scale=scale[0], most_scale=scale[1], least_ratio=ratio[0], most_ratio=ratio[1])


def erasing_boxes(w, name, size, p):
    rows, columns = size
    numbers = np.arange(10_000, dtype=np.int64) * 7
    # torchvision's ratio is that of height to width.
    boxes = attempts(numbers, ERASING_STREAM, size, (0.02, 0.33), (1 / 3.3, 1 / 0.3),
                     lambda h, wd: (h < rows) & (wd < columns))
    chosen = words(numbers, ERASING_STREAM, 10)[0] < p
    boxes[~chosen | (boxes[:, 0] < 0)] = 0
    image, theirs = torch.ones(1, rows, columns), []
    for _ in numbers:
        i, j, h, wd, _ = T.RandomErasing.get_params(image, (0.02, 0.33), (0.3, 3.3), [0.0])
        theirs.append((i, j, h, wd) if torch.rand(1) < p else (0, 0, 0, 0))
    write_boxes(w, f"random_erasing_boxes_{name}", boxes, np.array(theirs), size, op="random_erasing_boxes", p=p)


def write_boxes(w, name, boxes, theirs, size, **attributes):
    """Writes the first boxes, and the means and standard deviations over torchvision's boxes of: part of the area, logarithm of
    width divided by height, first row and column relative to the picture. Empty boxes count in the first mean alone."""
    rows, columns = size
    area = theirs[:, 2] * theirs[:, 3] / (rows * columns)
    some = theirs[theirs[:, 2] > 0]
    of = [area, np.log(some[:, 3] / some[:, 2]), some[:, 0] / rows, some[:, 1] / columns]
    w(name, dict(boxes=boxes[:2_000].astype(np.int64), mean_f64=np.array([v.mean() for v in of]),
                 std_f64=np.array([v.std() for v in of])), rows=rows, columns=columns, seed=SEED, epoch=EPOCH, **attributes)


def triangle(n_in, n_out):
    """Returns the weights [n_out, n_in] of the triangle filter: as wide as an output pixel, or an input pixel."""
    scale = n_in / n_out
    centre = (np.arange(n_out)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(n_in) + 0.5 - centre) / max(scale, 1))
    return weights / weights.sum(1, keepdims=True)


def resized(w, gen, name, n_pixels, to, sizes):
    """Boxes of pictures of different sizes, which are stored one after the other in rows of the same length."""
    rng = np.random.default_rng(11)
    kinds = ["noise", "smooth"]
    pixels, table, boxes, y, theirs = [], [], [], [], []
    for n, (rows, columns) in enumerate(s for s in sizes for _ in kinds):
        kind = kinds[n % len(kinds)]
        if kind == "noise":
            picture = torch.randint(0, 256, (3, rows, columns), generator=gen).numpy().astype(np.float64)
        else:
            at = np.arange(rows)[:, None] * 3.0 + np.arange(columns) * 2.0
            picture = np.stack([127.5 + 127.5 * np.sin(at / 9 + c) for c in range(3)])
        picture = np.round(picture).astype(np.uint8)
        height, width = int(rng.integers(1, rows + 1)), int(rng.integers(1, columns + 1))
        if n < len(sizes):
            height, width = rows, columns
        top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, columns - width + 1))
        crop = picture[:, top : top + height, left : left + width]
        y.append(triangle(height, to[0]) @ crop.astype(np.float64) @ triangle(width, to[1]).T)
        image = Image.fromarray(picture.transpose(1, 2, 0))
        theirs.append(np.asarray(TF.resized_crop(image, top, left, height, width, list(to))).transpose(2, 0, 1))
        row = np.full(3 * n_pixels, 77, np.uint8)
        row[: picture.size] = picture.ravel()
        pixels.append(row)
        table.append((rows, columns))
        boxes.append((top, left, height, width))
    w(f"random_resized_crop_{name}", dict(pixels=np.stack(pixels), sizes=np.array(table, np.int64),
      boxes=np.array(boxes, np.int64), y=np.stack(y), torchvision=np.stack(theirs)), op="random_resized_crop")


def erased(w, gen):
    x = f32(gen, 4, 3, 9, 14)
    boxes = [(0, 0, 9, 14), (2, 5, 3, 4), (8, 13, 1, 1), (0, 0, 0, 0)]
    y = torch.stack([TF.erase(v, *box, torch.zeros(1)) for v, box in zip(x, boxes)])
    w("random_erasing_00", dict(x=x, boxes=np.array(boxes, np.int64), y=y), op="random_erasing", tolerance=0)
