#!/usr/bin/env python3
"""Compares the suggestions of `wgrad lr-find` with the best of seven peak learning rates; prints a Markdown table.

    python scripts/lr_find_table.py --wgrad target/release/wgrad --data-dir DIR --work FOLDER

DIR holds CIFAR-10's binary files or a part of them. Each configuration is trained for three epochs at each of seven
peaks with two seeds, and swept with twenty seeds, on the CPU device. This takes about an hour on two cores. Runs whose
results are already in FOLDER are not repeated.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PEAKS = ["1e-4", "3.16e-4", "1e-3", "3.16e-3", "1e-2", "3.16e-2", "1e-1"]
TRAINED_SEEDS = range(2)
SWEPT_SEEDS = range(20)


def configurations(data_dir):
    """Yields the name and the flags of each configuration."""
    yield "shapes", ["--data", "shapes"]
    for width in [4, 8]:
        for batch in [16, 32, 64, 128]:
            flags = ["--data-dir", data_dir, "--width", str(width), "--batch-size", str(batch)]
            yield f"width {width}, batch {batch}", flags


class Runner:
    """Runs wgrad, with the folder of each run in `work`."""

    def __init__(self, wgrad, work):
        self.wgrad, self.work = wgrad, work

    def run(self, command, flags, name):
        """Runs a command, and returns its folder. The file `stdout` in the folder has the command's output."""
        folder = self.work / name.replace(" ", "-").replace(",", "")
        if not (folder / "stdout").exists():
            line = [self.wgrad, command, *flags, "--device", "cpu", "--out", str(folder)]
            # Two runs at a time with one thread each are faster than one run with two threads; the bits are
            # the same.
            env = dict(os.environ, RAYON_NUM_THREADS="1")
            ran = subprocess.run(line, capture_output=True, text=True, env=env)
            if ran.returncode != 0 and not (command == "lr-find" and ran.stdout):
                raise SystemExit(f"{' '.join(line)}: {ran.stderr}")
            (folder / "stdout").write_text(ran.stdout)
        return folder

    def accuracy(self, name, flags, peak, seed):
        """Returns the test accuracy after three epochs."""
        flags = [*flags, "--epochs", "3", "--max-lr", peak, "--seed", str(seed)]
        folder = self.run("train", flags, f"train {name} {peak} {seed}")
        return json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["test_accuracy"]

    def suggestion(self, name, flags, seed):
        """Returns the peak learning rate that a sweep suggests; None if the curve has no slope."""
        folder = self.run("lr-find", [*flags, "--json", "--seed", str(seed)], f"find {name} {seed}")
        return json.loads((folder / "stdout").read_text())["max_lr"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wgrad", default="wgrad")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    runner, all_of = Runner(args.wgrad, args.work), list(configurations(args.data_dir))
    with ThreadPoolExecutor(2) as pool:
        found = {
            name: [pool.submit(runner.suggestion, name, flags, seed) for seed in SWEPT_SEEDS]
            for name, flags in all_of
        }
        trained = {
            (name, peak): [pool.submit(runner.accuracy, name, flags, peak, seed) for seed in TRAINED_SEEDS]
            for name, flags in all_of
            for peak in PEAKS
        }
    print("| | best of seven | accuracy | least | median | largest | worst factor | no slope |")
    print("|---|---|---|---|---|---|---|---|")
    for name, _ in all_of:
        means = {
            peak: statistics.mean(run.result() for run in trained[name, peak]) for peak in PEAKS
        }
        best = max(means, key=means.get)
        every = [run.result() for run in found[name]]
        rates = [rate for rate in every if rate is not None]
        worst = max(math.exp(abs(math.log(rate / float(best)))) for rate in rates)
        print(
            f"| {name} | {best} | {means[best]:.1%} | {min(rates):.2e} | {statistics.median(rates):.2e} "
            f"| {max(rates):.2e} | {worst:.1f} | {every.count(None)} |"
        )


if __name__ == "__main__":
    main()
