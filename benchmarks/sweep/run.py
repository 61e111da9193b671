"""How much time does a sweep add to its trainings, and are its workers busy?

    python benchmarks/sweep/run.py [trials=6] [steps=60] [busy=16]

Makes two measurements on small phantoms and prints JSON:

- Overhead of a trial: `liverspleen sweep` with one worker, compared with the same trainings as `liverspleen train`
  commands in sequence, which are the lower limit. The trainings run before and after the sweep, so load on the machine
  affects both.
- Busy fraction: two workers train trials whose lengths differ up to eightfold. It is the time in which trainings run,
  over the time of both workers from the first start to the last end. Two more fractions are given: until the last
  start, and of the same trials without any pause (the end of a sweep is idle in any order).
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


def call(*arguments: str) -> float:
    """Run a command of liverspleen and return its wall time in seconds."""
    clock = time.perf_counter()
    subprocess.run([sys.executable, "-m", "liverspleen", *arguments], check=True, capture_output=True)
    return time.perf_counter() - clock


def trials(folder: Path) -> list[tuple[float, float]]:
    """Return start (time stamp) and duration in seconds of each trial, in the order of the starts."""
    with (folder / "trials.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert all(row["state"] == "complete" for row in rows), "a trial failed"
    return sorted((datetime.fromisoformat(row["started"]).timestamp(), float(row["seconds"])) for row in rows)


def overhead(folder: Path, common: Sequence[str], *, count: int, steps: int) -> dict[str, float]:
    """Return the time that a trial takes in addition to a training, in seconds, and its parts."""
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
    between = [later - earlier - duration for (earlier, duration), (later, _) in itertools.pairwise(found)]
    training = statistics.median(bare)
    return {
        "bare_training_s": round(training, 3),
        "trial_s": round(statistics.median(duration for _, duration in found), 3),
        "between_trials_s": round(statistics.median(between), 3),
        "overhead_per_trial_s": round(period - training, 3),
        "ratio_to_bare_trainings": round(period / training, 3),
        "start_and_end_of_the_sweep_s": round(whole - sum(duration for _, duration in found) - sum(between), 3),
    }


def busy(folder: Path, common: Sequence[str], *, count: int, steps: int) -> dict[str, float]:
    """Return the fractions of the time of two workers in which a training runs."""
    lengths = [steps * factor for factor in (1, 2, 4, 8)]
    search = ["search=own", f"search.parameters={{trainer.steps: {lengths}}}", "search.sampler=random", "seeds=0"]
    call("sweep", *common, *search, f"trials={count}", "workers=2", f"output={folder / 'two'}")
    found = trials(folder / "two")
    first, last = found[0][0], max(start + duration for start, duration in found)
    last_start = found[-1][0]  # one worker is idle afterwards
    until = sum(min(start + duration, last_start) - start for start, duration in found)
    ends = [0.0, 0.0]
    for _, duration in found:
        ends[ends.index(min(ends))] += duration
    return {
        "trials": count,
        "longest_over_shortest": round(
            max(duration for _, duration in found) / min(duration for _, duration in found), 2
        ),
        "wall_s": round(last - first, 1),
        "busy_fraction": round(sum(duration for _, duration in found) / (2 * (last - first)), 4),
        "busy_fraction_until_last_start": round(until / (2 * (last_start - first)), 4),
        "busy_fraction_without_pauses": round(sum(ends) / (2 * max(ends)), 4),
    }


def main(arguments: Sequence[str]) -> None:
    """Measure and print JSON."""
    sizes = {"trials": 6, "steps": 60, "busy": 16} | {
        key: int(value) for key, _, value in (argument.partition("=") for argument in arguments)
    }
    os.environ["OMP_NUM_THREADS"] = "1"
    conditions = machine(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cohort = f"cohort={folder / 'phantoms' / 'cohort.csv'}"
        call("phantom", f"output={folder / 'phantoms'}", *PHANTOMS)
        call("split", cohort, f"output={folder}")
        call("prepare", cohort, f"cache={folder / 'cache'}")
        common = [cohort, f"split={folder / 'split.csv'}", f"cache={folder / 'cache'}", *RECIPE]
        result = {
            "overhead": overhead(folder, common, count=sizes["trials"], steps=sizes["steps"]),
            "two_workers": busy(folder, common, count=sizes["busy"], steps=sizes["steps"]),
        }
    packages = versions(["torch", "pytorch-lightning", "optuna", "sqlalchemy"])
    print(json.dumps({**result, "machine": conditions, "versions": packages}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
