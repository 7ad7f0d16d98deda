"""Reads a run's events with TensorBoard's own reader, and compares them with metrics.jsonl.

    pip install tensorboard
    python tests/tensorboard_reads_events.py runs/2026-11-22-075444
"""

import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TAGS = {
    "loss/train": "train_loss",
    "loss/validation": "validation_loss",
    "loss/test": "test_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/validation": "validation_accuracy",
    "accuracy/test": "test_accuracy",
    "learning_rate": "lr",
    "images_per_s": "images_per_s",
}


def main(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    # The reader checks each record's checksum, and drops events that a resumed run repeated.
    events = EventAccumulator(str(run))
    events.Reload()

    expected_tags = {tag for tag, key in TAGS.items() if any(key in line for line in lines)}
    found = set(events.Tags()["scalars"])
    assert found == expected_tags, f"{found} are in the events, {expected_tags} in metrics.jsonl"
    for tag in sorted(expected_tags):
        points = events.Scalars(tag)
        expected = [line[TAGS[tag]] for line in lines if TAGS[tag] in line]
        assert len(points) == len(expected), f"{tag}: {len(points)} of {len(expected)} points"
        steps = [point.step for point in points]
        assert steps == sorted(set(steps)), f"{tag}: the steps are {steps}"
        for point, value in zip(points, expected):
            # Events have f32 values.
            assert abs(point.value - value) <= 1e-6 * abs(value), f"{tag}: {point} is not {value}"
        print(f"{tag:<20} {len(points)} points, the last {points[-1].value:.4g} at step {steps[-1]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
