"""What does a sweep cost beyond its trainings, and do its workers stand idle?

    python benchmarks/sweep/run.py [trials=6] [steps=60] [busy=16]

Two measurements on small phantoms, prints JSON:

- Overhead of a trial: `liverspleen sweep` with one worker against the same trainings as bare `liverspleen train`
  commands one after the other, which no sweep can be faster than. Both turn about, so that a busy machine meets both.
- Busy share: two workers, trials whose lengths differ up to eightfold. Time in which trainings run, over the time of
  both workers from the first beginning to the last end; beside it the share until no trial was left to begin, and what
  the same trials give if each worker takes the next one without any pause (the end of a sweep is idle in any order).
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import machine, versions

PHANTOMS = ("development=10", "test1=0", "pairs=0", "matrix=64", "thickness_min_mm=8", "thickness_max_mm=8")
RECIPE = (
    "experiment=phantom",
    "network.pyramid_channels=8",
    "network.skip_channels=8",
    "trainer.validate_every=1000000",
)


def call(*words: str) -> float:
    """Seconds of a command."""
    clock = time.perf_counter()
    subprocess.run([sys.executable, "-m", "liverspleen", *words], check=True, capture_output=True)
    return time.perf_counter() - clock


def trials(folder: Path) -> list[tuple[float, float]]:
    """Beginning of each trial as a time stamp, and its seconds, in the order of beginnings."""
    with (folder / "trials.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert all(row["state"] == "complete" for row in rows), "a trial failed"
    return sorted((datetime.fromisoformat(row["started"]).timestamp(), float(row["seconds"])) for row in rows)


def overhead(folder: Path, common: Sequence[str], *, count: int, steps: int) -> dict[str, float]:
    """Seconds of a trial beyond a bare training."""
    length = f"trainer.steps={steps}"
    search = [
        "search=own",
        f"search.parameters={{optimizer.weight_decay: {[0.001 + 0.001 * n for n in range(count)]}}}",
    ]
    bare = [call("train", *common, length, f"output={folder / f'bare{n}'}") for n in range(count)]
    whole = call("sweep", *common, length, *search, "search.sampler=grid", "seeds=0", f"output={folder / 'one'}")
    bare += [call("train", *common, length, f"output={folder / f'again{n}'}") for n in range(count)]
    found = trials(folder / "one")
    period = statistics.median(later - earlier for (earlier, _), (later, _) in itertools.pairwise(found))
    between = [later - earlier - took for (earlier, took), (later, _) in itertools.pairwise(found)]
    training = statistics.median(bare)
    return {
        "bare_training_s": round(training, 3),
        "trial_s": round(statistics.median(took for _, took in found), 3),
        "between_trials_s": round(statistics.median(between), 3),
        "overhead_per_trial_s": round(period - training, 3),
        "ratio_to_bare_trainings": round(period / training, 3),
        "begin_and_end_of_the_sweep_s": round(whole - sum(took for _, took in found) - sum(between), 3),
    }


def busy(folder: Path, common: Sequence[str], *, count: int, steps: int) -> dict[str, float]:
    """Share of two workers' time in which a training runs."""
    lengths = [steps * factor for factor in (1, 2, 4, 8)]
    search = ["search=own", f"search.parameters={{trainer.steps: {lengths}}}", "search.sampler=random", "seeds=0"]
    call("sweep", *common, *search, f"trials={count}", "workers=2", f"output={folder / 'two'}")
    found = trials(folder / "two")
    first, last = found[0][0], max(begun + took for begun, took in found)
    left = found[-1][0]  # from here on there is nothing to begin
    until = sum(min(begun + took, left) - begun for begun, took in found)
    ends = [0.0, 0.0]
    for _, took in found:
        ends[ends.index(min(ends))] += took
    return {
        "trials": count,
        "longest_over_shortest": round(max(took for _, took in found) / min(took for _, took in found), 2),
        "wall_s": round(last - first, 1),
        "busy_fraction": round(sum(took for _, took in found) / (2 * (last - first)), 4),
        "busy_share_until_none_was_left": round(until / (2 * (left - first)), 4),
        "busy_share_without_pauses": round(sum(ends) / (2 * max(ends)), 4),
    }


def main(words: Sequence[str]) -> None:
    """Measure and print."""
    asked = {"trials": 6, "steps": 60, "busy": 16} | {
        key: int(value) for key, _, value in (w.partition("=") for w in words)
    }
    os.environ["OMP_NUM_THREADS"] = "1"
    about = machine(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        cohort = f"cohort={folder / 'phantoms' / 'cohort.csv'}"
        call("phantom", f"output={folder / 'phantoms'}", *PHANTOMS)
        call("split", cohort, f"output={folder}")
        call("prepare", cohort, f"cache={folder / 'store'}")
        common = [cohort, f"split={folder / 'split.csv'}", f"cache={folder / 'store'}", *RECIPE]
        result = {
            "overhead": overhead(folder, common, count=asked["trials"], steps=asked["steps"]),
            "two_workers": busy(folder, common, count=asked["busy"], steps=asked["steps"]),
        }
    packages = versions(["torch", "pytorch-lightning", "optuna", "sqlalchemy"])
    print(json.dumps({**result, "machine": about, "versions": packages}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
