"""Seconds of a prediction, compared with segmentation_models.pytorch and MONAI.

    python benchmarks/prediction/run.py

With CUDA it measures the GPU and writes another results file. The README in this folder describes the benchmark.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from contenders import SLICES, Contender, Runner, Task, volume_of

from liverspleen.imaging import write_ct
from liverspleen.networks.cost import network_cost

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import cores, machine, versions

RESULTS = Path(__file__).parents[1] / "results"
DISTRIBUTIONS = ("numpy", "torch", "timm", "monai", "nibabel", "onnxruntime", "segmentation-models-pytorch")

NETWORK_CPU = (
    Contender("liverspleen fp32", keeps_pages=True),
    Contender("smp fp32, plain loop", driver="loop", network="smp"),
    Contender("smp fp32, plain loop, one slice, pages kept", driver="loop", network="smp", batch=1, keeps_pages=True),
    Contender("smp fp32, MONAI SliceInferer", driver="monai", network="smp"),
    Contender("liverspleen onnxruntime", network="onnxruntime", keeps_pages=True),
    Contender("liverspleen fp32, not folded", folds=False, keeps_pages=True),
    Contender("liverspleen fp32, pages given back"),
    Contender("liverspleen fp32, two slices", batch=2, keeps_pages=True),
    Contender("liverspleen bf16", bf16=True, keeps_pages=True),
    Contender("smp bf16, plain loop", driver="loop", network="smp", bf16=True),
)
NETWORK_GPU = (
    Contender("liverspleen bf16", bf16=True),
    Contender("smp bf16, plain loop", driver="loop", network="smp", bf16=True),
    Contender("smp bf16, plain loop, channels_last", driver="loop", network="smp", bf16=True, channels_last=True),
    Contender("smp bf16, MONAI SliceInferer", driver="monai", network="smp", bf16=True),
    Contender("liverspleen bf16, not folded", bf16=True, folds=False),
    Contender("liverspleen bf16, 32 slices", bf16=True, batch=32),
    Contender("liverspleen fp32"),
    Contender("smp fp32, plain loop", driver="loop", network="smp"),
)
DRIVER = (
    Contender("liverspleen driver", network="point"),
    Contender("MONAI SliceInferer", driver="monai", network="point"),
    Contender("plain loop", driver="loop", network="point"),
)
END_CPU = (NETWORK_CPU[0], NETWORK_CPU[1], NETWORK_CPU[4])
END_GPU = (NETWORK_GPU[0], NETWORK_GPU[1])
"""In each list the first contender is compared with each of the others in turns."""


def comparisons(contenders: Sequence[Contender], task: Task, rounds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compare the first contender with each of the others, in turns; two processes run at a time."""
    if not contenders:
        return
    first, *others = contenders
    mine, own = Runner(first, task), []
    for other in others:
        turns: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
        try:
            theirs = Runner(other, task)
            for _ in range(rounds):
                for runner, found in zip((mine, theirs), turns, strict=True):
                    found.append(runner.turn())
            row = row_of(turns[1], theirs.finish(), task)
        except (EOFError, ConnectionError):  # its process ended and printed why: no memory, no export
            print(f"  {other.name} failed", flush=True)
            continue
        reference = median(turn["total"] for turn in turns[0])
        yield other.name, row | {"reference_s": reference, "time_over_reference": row["total_s"] / reference}
        own += turns[0]
    own = own or [mine.turn() for _ in range(rounds)]
    yield first.name, row_of(own, mine.finish(), task)


def row_of(turns: list[dict[str, float]], memory: int | None, task: Task) -> dict[str, Any]:
    """Return medians of the parts, seconds per slice, and the growth of memory."""
    parts = {name: median(turn[name] for turn in turns) for name in turns[0]}
    total = parts.pop("total")
    found: dict[str, Any] = {"total_s": total, "s_per_slice": total / task.slices, "memory_bytes": memory}
    return found | {"least_s": min(turn["total"] for turn in turns)} | ({"parts_s": parts} if parts else {})


def measure(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the results after each contender, so that they are kept if a later one is stopped."""
    cuda = options.device == "cuda"
    conditions = machine(torch.device(options.device))
    few = options.network_slices or (80 if cuda else 4)
    task = Task(options.device, options.encoder, options.matrix, few, options.threads)
    image = folder / "ct.nii.gz"
    hu = np.random.default_rng(0).normal(0, 15, (options.slices, options.matrix, options.matrix))
    hu += np.linspace(-500, 300, options.matrix)
    write_ct(image, volume_of(hu.astype(np.int16)))
    skip = 2 if options.encoder.startswith("test_") else 4
    architecture = {"name": "deeplab", "encoder": options.encoder, "skip_stride": skip}
    flops = network_cost(architecture, slices=SLICES, matrix=options.matrix).flops
    stages = {
        "network": (NETWORK_GPU if cuda else NETWORK_CPU, task, options.rounds),
        "driver": (DRIVER, replace(task, slices=options.driver_slices), 2 * options.rounds),
        "end_to_end": (
            END_GPU if cuda else END_CPU,
            replace(task, slices=options.slices, image=image),
            options.rounds if cuda else max(1, options.rounds // 3),
        ),
    }
    result: dict[str, Any] = {
        "benchmark": "prediction",
        "machine": conditions,
        "versions": versions(DISTRIBUTIONS),
        "missing": [],
        "input": {"encoder": task.encoder, "matrix": task.matrix, "flops_per_slice": flops},
        "threads": task.threads,
        "rounds": options.rounds,
    }
    for stage, (contenders, work, rounds) in stages.items():
        if options.only and stage not in options.only:
            continue
        print(f"{stage}, {work.slices} slices", flush=True)
        result["input"][f"{stage}_slices"] = work.slices
        result[stage] = {"reference": contenders[0].name, "contenders": {}}
        result["missing"] = sorted({*result["missing"], *filter(None, (c.missing(options.device) for c in contenders))})
        for name, row in comparisons([c for c in contenders if not c.missing(options.device)], work, rounds):
            if stage != "driver":
                rate = conditions[f"matmul_flops_per_s {'bf16' if 'bf16' in name else 'fp32'}"]
                row["fraction_of_matmul_rate"] = flops / rate / row["s_per_slice"]
            ratio = f"{row['time_over_reference']:6.2f} x" if "time_over_reference" in row else "reference"
            memory = "" if row["memory_bytes"] is None else f"{row['memory_bytes'] / 1e6:7.0f} MB"
            print(
                f"  {name:48} {row['total_s']:9.3f} s {row['s_per_slice']:8.4f} s per slice {ratio} {memory}",
                flush=True,
            )
            result[stage]["contenders"][name] = row
            yield result


def arguments() -> argparse.Namespace:
    """Parse the command line; the defaults are those of the committed results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--encoder", default="xception65", help="timm encoder; default: that of the paper")
    parser.add_argument("--matrix", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--slices", type=int, default=70, help="slices of the CT of end_to_end")
    parser.add_argument(
        "--network-slices", type=int, default=0, help="slices per turn; default: 4 on a CPU, 80 on a GPU"
    )
    parser.add_argument("--driver-slices", type=int, default=80, help="slices of the CT of driver")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of each contender on a CPU")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument(
        "--only", action="append", choices=("network", "driver", "end_to_end"), help="a part; may be repeated"
    )
    parser.add_argument("--output", type=Path, help="JSON file; default: benchmarks/results/prediction-DEVICE.json")
    return parser.parse_args()


def main() -> None:
    """Measure, write JSON, and print."""
    options = arguments()
    torch.set_num_threads(options.threads)
    file = options.output or RESULTS / f"prediction-{options.device}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for result in measure(options, Path(folder)):
            file.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print("missing:", ", ".join(result["missing"]) or "nothing")


if __name__ == "__main__":
    main()
