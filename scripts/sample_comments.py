#!/usr/bin/env python3
"""Prints a random sample of comments, for a reader to judge: `scripts/sample_comments.py [SEED [COUNT]]`.

Each layer of src, the shaders and the tests have equal shares of the sample. A comment is a run of `//`, `///` or `//!`
lines. Each comment is printed with its file, its line number and the line of code below it.
"""

import random
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMENT = re.compile(r"\s*//[/!]?")


def comments(path):
    """Yields the line number, the lines and the next line of code for each comment of a file."""
    lines = path.read_text().splitlines()
    start = None
    for number, line in enumerate([*lines, ""]):
        if COMMENT.match(line):
            start = number if start is None else start
        elif start is not None:
            if not all("#import" in comment for comment in lines[start:number]):
                yield start + 1, lines[start:number], line
            start = None


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    folders = sorted(path for path in (ROOT / "src").iterdir() if path.is_dir())
    folders += [ROOT / "shaders", ROOT / "tests"]
    draw = random.Random(seed)
    for place, folder in enumerate(folders):
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".rs", ".wgsl"))
        found = [(path, *comment) for path in files for comment in comments(path)]
        share = (place + 1) * count // len(folders) - place * count // len(folders)
        for path, number, lines, code in draw.sample(found, min(share, len(found))):
            print(f"{path.relative_to(ROOT)}:{number}")
            print("\n".join([*lines, code]), end="\n\n")


if __name__ == "__main__":
    main()
