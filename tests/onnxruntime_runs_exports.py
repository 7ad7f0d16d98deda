#!/usr/bin/env python3
"""Checks exported networks with onnx and runs them with onnxruntime.

    pip install onnx onnxruntime numpy
    python tests/onnxruntime_runs_exports.py

Runs tests/onnx.rs, which writes a file for each family of networks, its images and the CPU device's logits. Checks each
file with onnx.checker, and compares the logits of onnxruntime, for one image and for three.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The bound is on the relative L2 error of the logits.
TOLERANCE = 1e-5


def export(folder):
    command = ["cargo", "test", "--release", "--quiet", "--test", "onnx"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "WGRAD_ONNX": folder})


def error_of(path):
    """Returns the largest error of the logits of one image and of all images."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    side, _ = map(int, metadata["image_size"].split(","))
    n_classes = len(metadata["classes"].split(","))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images, = session.get_inputs()
    element = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}[images.type]
    assert (images.name, images.shape) == ("images", ["batch", 3, side, side]), images
    planes = np.fromfile(path.with_suffix(".images"), element).reshape(-1, 3, side, side)
    expected = np.fromfile(path.with_suffix(".logits"), np.float32).reshape(-1, n_classes).astype(np.float64)
    errors = []
    for n in [1, len(planes)]:
        logits, = session.run(["logits"], {"images": planes[:n]})
        errors.append(np.linalg.norm(logits - expected[:n]) / np.linalg.norm(expected[:n]))
    return max(errors)


def main():
    onnxruntime.set_default_logger_severity(3)
    with tempfile.TemporaryDirectory() as folder:
        export(folder)
        paths = sorted(pathlib.Path(folder).glob("*.onnx"))
        assert paths, "no file was written"
        errors = {path.stem: error_of(path) for path in paths}
    for name, error in errors.items():
        print(f"{error:.1e}  {name}")
    wrong = [name for name, error in errors.items() if not error <= TOLERANCE]
    if wrong:
        sys.exit(f"the logits differ: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
