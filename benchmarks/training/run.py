"""Slices per second of a training, compared with segmentation_models.pytorch, MONAI and nnU-Net.

    python benchmarks/training/run.py

With CUDA it measures the GPU and writes another results file. The README in this folder describes the benchmark.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from contenders import Contender, Runner, Task
from slices import write_cases

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import cores, machine, versions

RESULTS = Path(__file__).parents[1] / "results"
DISTRIBUTIONS = ("numpy", "torch", "timm", "monai", "segmentation-models-pytorch", "nnunetv2")

OURS_CPU = Contender("liverspleen fp32", channels_last=True, keeps_pages=True)
ON_CPU = (
    OURS_CPU,
    Contender("smp fp32", library="smp"),
    Contender("liverspleen fp32, NCHW", keeps_pages=True),
    Contender("liverspleen fp32, pages given back", channels_last=True),
    Contender("smp fp32, pages kept", library="smp", keeps_pages=True),
    Contender("liverspleen fp32, real pipeline", channels_last=True, keeps_pages=True, pipeline=True),
    Contender("liverspleen fp32, compiled", channels_last=True, keeps_pages=True, compiled=True),
    Contender("liverspleen bf16", channels_last=True, keeps_pages=True, bf16=True),
    Contender("liverspleen bf16, compiled", channels_last=True, keeps_pages=True, bf16=True, compiled=True),
    Contender("smp bf16", library="smp", bf16=True),
)
OURS_GPU = Contender("liverspleen bf16, compiled", channels_last=True, bf16=True, compiled=True)
ON_GPU = (
    OURS_GPU,
    Contender("smp bf16", library="smp", bf16=True),
    Contender("smp bf16, channels_last", library="smp", bf16=True, channels_last=True),
    Contender("smp fp32", library="smp"),
    Contender("liverspleen fp32", channels_last=True),
    Contender("liverspleen fp32, compiled", channels_last=True, compiled=True),
    Contender("liverspleen bf16", channels_last=True, bf16=True),
    Contender("liverspleen bf16, compiled, real pipeline", channels_last=True, bf16=True, compiled=True, pipeline=True),
)
"""The first contender is compared with each of the others in turns."""


def comparisons(
    contenders: list[Contender], task: Task, *, rounds: int, turn: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compare the first contender with each of the others, in turns of `turn` steps; two processes run at a time."""
    if not contenders:
        return
    first, *others = contenders
    mine = Runner(first, task)
    for other in others:
        try:
            yield other.name, compare(mine, Runner(other, task), rounds=rounds, turn=turn)
        except (EOFError, ConnectionError):  # its process ended and printed why: no memory, no compiler
            print(f"  {other.name} failed", flush=True)
    mine.steps(turn)
    yield first.name, mine.finish()


def compare(mine: Runner, theirs: Runner, *, rounds: int, turn: int) -> dict[str, Any]:
    """Return the results of `theirs`, with the medians of both over the rounds."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for runner, times in zip((mine, theirs), seconds, strict=True):
            times += runner.steps(turn)
    ours_s, theirs_s = median(seconds[0]), median(seconds[1])
    return theirs.finish() | {"reference_step_s": ours_s, "time_over_reference": theirs_s / ours_s}


def with_limits(name: str, row: dict[str, Any], steps: dict[str, Any], conditions: dict[str, Any]) -> dict[str, Any]:
    """Add the least time of a step by arithmetic and by unfused memory traffic, as fractions of its time.

    The work of a compiled step is that of the same step in eager mode.
    """
    work = row["work"] or steps.get(name.split(", ")[0], {}).get("work")
    if work is None:
        return row
    rate = conditions[f"matmul_flops_per_s {'bf16' if 'bf16' in name else 'fp32'}"]
    return row | {
        "work": work,
        "fraction_of_matmul_rate": work["flops"] / rate / row["median_step_s"],
        "fraction_of_copy_rate": work["bytes"] / conditions["copy_bytes_per_s"] / row["median_step_s"],
    }


def measure(options: argparse.Namespace, cache: Path) -> Iterator[dict[str, Any]]:
    """Yield the results after each part, so that they are kept if a later part is stopped."""
    cuda = options.device == "cuda"
    conditions = machine(torch.device(options.device))
    batch = options.batch or (32 if cuda else 4)
    task = Task(
        options.device, options.encoder, options.matrix, batch, options.threads, min(8, cores()) if cuda else 0, cache
    )
    contenders = [c for c in (ON_GPU if cuda else ON_CPU) if not options.only or c.name in options.only]
    missing = sorted({name for c in contenders if (name := c.missing(options.device))})
    result: dict[str, Any] = {
        "benchmark": "training",
        "machine": conditions,
        "versions": versions(DISTRIBUTIONS),
        "missing": missing,
        "input": {"encoder": task.encoder, "matrix": task.matrix, "batch": batch, "slices": 3},
        "threads": task.threads,
        "rounds": options.rounds,
        "reference": contenders[0].name if contenders else None,
        "steps": {},
    }
    if not options.no_loaders:
        from loaders import slices_per_s  # in a separate process: it allocates as its peers do, on one thread

        with multiprocessing.get_context("spawn").Pool(1) as pool:
            call = {"batch": 4, "rounds": options.rounds, "turn_s": options.turn_s}
            result["loader_slices_per_s_and_core"] = pool.apply(slices_per_s, (cache,), call)
        yield result
    present = [c for c in contenders if not c.missing(options.device)]
    for name, row in comparisons(present, task, rounds=options.rounds, turn=20 if cuda else 1):
        row["slices_per_s"] = batch / row["median_step_s"]
        print(f"  {name:45} {row['slices_per_s']:9.3f} slices/s, {row['bound']}", flush=True)
        result["steps"][name] = row
        yield result | {
            "steps": {n: with_limits(n, r, result["steps"], conditions) for n, r in result["steps"].items()}
        }


def arguments() -> argparse.Namespace:
    """Parse the command line; the defaults are those of the committed results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--encoder", default="xception65", help="timm encoder; default: that of the paper")
    parser.add_argument("--matrix", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--batch", type=int, default=0, help="slices per step; default: 4 on a CPU, 32 on a GPU")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of each step on a CPU")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--turn-s", type=float, default=2.0, help="seconds of the turn of a loader")
    parser.add_argument("--only", action="append", help="name of a contender; may be repeated")
    parser.add_argument("--no-loaders", action="store_true", help="measure steps only")
    parser.add_argument("--output", type=Path, help="JSON file; default: benchmarks/results/training-DEVICE.json")
    return parser.parse_args()


def main() -> None:
    """Measure, write JSON, and print."""
    options = arguments()
    torch.set_num_threads(options.threads)
    file = options.output or RESULTS / f"training-{options.device}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_cases(Path(folder), cases=2, matrix=options.matrix)
        for result in measure(options, Path(folder)):
            file.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for name, rate in result.get("loader_slices_per_s_and_core", {}).items():
        print(f"  {name:45} {rate['median']:9.1f} slices/s per core")
    print("missing:", ", ".join(result["missing"]) or "nothing")


if __name__ == "__main__":
    main()
