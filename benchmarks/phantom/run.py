"""Phantoms per second: the style `randomised` and the style `paper`, on the same processes.

    python benchmarks/phantom/run.py

Both styles write cohorts of slices of 5 mm at 128 x 128 pixels in turns, so other load on the machine affects both. The
rate is that of scans with 60 slices: slices written per second, divided by 60. It writes
benchmarks/results/phantom.json and prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from liverspleen.cohort import read_cohort
from liverspleen.imaging import read_ct
from liverspleen.phantom.cohort import write_phantom_cohort

RESULTS = Path(__file__).parents[1] / "results" / "phantom.json"
SLICES = 60
CASES = {"paper": 6, "randomised": 24}  # of one turn


def rate(style: str, seed: int, matrix: int, workers: int) -> float:
    """Return scans of 60 slices per second, with the start of the processes and the writing of the files."""
    request = {"development": CASES[style], "test1": 0, "pairs": 0, "seed": seed, "matrix": matrix}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        table = write_phantom_cohort(folder, **request, style=style, workers=workers)
        seconds = time.perf_counter() - start
        slices = sum(len(read_ct(case.image).hu) for case in read_cohort(table).cases)
    return slices / SLICES / seconds


def measure(rounds: int, matrix: int, workers: int) -> dict[str, Any]:
    """Return the median rates and their ratio."""
    rates: dict[str, list[float]] = {style: [] for style in CASES}
    load = os.getloadavg()[0]
    for turn in range(rounds):
        for style, found in rates.items():
            found.append(rate(style, turn, matrix, workers))
    median = {style: statistics.median(found) for style, found in rates.items()}
    return {
        "benchmark": f"phantoms of {matrix} x {matrix} x {SLICES} per second",
        "per_s": {style: round(value, 2) for style, value in median.items()},
        "randomised / paper": round(median["randomised"] / median["paper"], 2),
        "processes": workers,
        "rounds": rounds,
        "load_before": round(load, 2),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def main() -> None:
    """Measure, write JSON, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--matrix", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    result = measure(options.rounds, options.matrix, options.workers)
    options.results.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
