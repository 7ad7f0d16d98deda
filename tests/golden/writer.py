"""Helpers of the cases: the file format, and numbers that float32 represents exactly."""
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

F64 = torch.float64


class Writer:
    def __init__(self, out):
        self.out = pathlib.Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.count = 0

    def __call__(self, name, tensors, **meta):
        arrays = {}
        for key, t in tensors.items():
            a = t.detach().numpy() if isinstance(t, torch.Tensor) else np.asarray(t)
            if a.dtype == np.float64 and not key.endswith("_f64"):
                a = a.astype(np.float32)
            arrays[key] = np.ascontiguousarray(a)
        save_file(arrays, self.out / f"{name}.safetensors", {k: str(v) for k, v in meta.items()})
        self.count += 1


def f32(gen, *shape):
    """Returns a float64 tensor of random values that float32 represents exactly."""
    return torch.randn(*shape, generator=gen, dtype=torch.float32).to(F64)


def leaf(t):
    return t.clone().requires_grad_(True)
