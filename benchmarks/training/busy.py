"""How much slower is a training step beside a busy process?

    python benchmarks/training/busy.py

Measures the steps of the small network with `liverspleen bench`, on an idle machine and beside one process that
computes without pause, with two ways in which threads wait for each other: asleep (`OMP_WAIT_POLICY=passive`, which
liverspleen sets) and actively for some milliseconds first (the default of GNU OpenMP). The README describes it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import machine, versions

RESULTS = Path(__file__).parents[1] / "results"
WAITING = {"passive": {"OMP_WAIT_POLICY": "passive"}, "active": {"GOMP_SPINCOUNT": "300000"}}
"""300 000 turns of a loop are the default if no variable is set: manual of GNU libgomp, GOMP_SPINCOUNT."""


def steps_per_s(waiting: str, steps: int) -> float:
    """Return the rate of the median step in a new process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    with tempfile.TemporaryDirectory() as folder:
        keys = ["experiment=phantom", "matrix=128", "warmup=3", f"measured={steps}", f"output={folder}"]
        command = [sys.executable, "-m", "liverspleen", "bench", *keys]
        subprocess.run(command, check=True, capture_output=True, env=kept | WAITING[waiting])
        found = json.loads((Path(folder) / "bench.json").read_text(encoding="utf-8"))
    return 1 / float(found["times"]["step_s"])


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Let `number` processes compute without pause during the block."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Measure in turns, write JSON, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="measured steps of each turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each measurement")
    parser.add_argument("--output", type=Path, default=RESULTS / "busy-cpu.json", help="JSON file")
    options = parser.parse_args()
    conditions = machine(torch.device("cpu"))
    found: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for others, beside in ((0, "idle"), (1, "beside a busy process")):
            for waiting in WAITING:
                with busy(others):
                    found.setdefault(f"{waiting}, {beside}", []).append(steps_per_s(waiting, options.steps))
    result = {
        "benchmark": "busy",
        "machine": conditions,
        "versions": versions(("torch",)),
        "input": {"experiment": "phantom", "matrix": 128, "steps": options.steps},
        "rounds": options.rounds,
        "steps_per_s": {name: {"median": median(rates), "least": min(rates)} for name, rates in found.items()},
    }
    options.output.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for name, rates in result["steps_per_s"].items():
        print(f"  {name:35} {rates['median']:7.2f} steps/s")


if __name__ == "__main__":
    main()
