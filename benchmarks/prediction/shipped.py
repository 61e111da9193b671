"""Seconds and memory from the path of a CT to its label map with the shipped model, in a new and in a warm process.

    python benchmarks/prediction/shipped.py [--model MODEL] [--rounds N]

The CT is a randomised phantom with 512 x 512 pixels; its slices are repeated to 70. Writes
benchmarks/results/prediction-shipped.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import nibabel
import numpy as np
import torch

from liverspleen import api
from liverspleen.imaging import CTVolume, Geometry, read_ct, write_ct
from liverspleen.shipped import NAME

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import machine, versions

RESULTS = Path(__file__).parents[1] / "results" / "prediction-shipped.json"
SLICES = 70
LIMITS = {"cold": 15.0, "warm": 5.0, "mb": 2000.0}
"""Goals: seconds in a new process, seconds in a warm one, and largest resident memory."""


def seconds(action: Callable[[], Any]) -> float:
    """Return the wall time of a call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def phantom(folder: Path) -> Path:
    """Write the CT, and return its path."""
    keys = {"style": "randomised", "development": 1, "test1": 0, "pairs": 0, "matrix": 512, "workers": 1, "seed": 3}
    made = api.phantom(output=folder / "phantom", thickness_min_mm=5, thickness_max_mm=5, **keys)
    ct = read_ct(made.parent / "images" / "dev001.nii.gz")
    file = folder / "ct.nii.gz"
    shape = ct.geometry.shape[0], ct.geometry.shape[1], SLICES
    write_ct(file, CTVolume(np.resize(ct.hu, (SLICES, *ct.hu.shape[1:])), Geometry(shape, ct.geometry.affine)))
    return file


def cold(command: Sequence[str]) -> tuple[float, float]:
    """Return seconds and largest memory in MB of a new process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - start
    if status:
        raise subprocess.CalledProcessError(status, command)
    return elapsed, usage.ru_maxrss / 1024


def measured(model: str, rounds: int, folder: Path) -> dict[str, Any]:
    """Return the medians; a round has one of each, so that the load of the machine is shared."""
    file = phantom(folder)
    found: dict[str, list[float]] = {name: [] for name in ("cold", "mb", "imports", "warm", "read")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        api.predict(model=model, input=file, output=folder / "first", accelerator="cpu")
        for turn in range(rounds):
            command = [sys.executable, "-m", "liverspleen", "predict", f"model={model}", f"input={file}"]
            elapsed, memory = cold([*command, f"output={folder / f'cold{turn}'}", "accelerator=cpu"])
            found["cold"].append(elapsed)
            found["mb"].append(memory)
            found["imports"].append(cold([sys.executable, "-c", "import torch, timm"])[0])
            output = folder / f"warm{turn}"
            found["warm"].append(
                seconds(lambda to=output: api.predict(model=model, input=file, output=to, accelerator="cpu"))
            )
            found["read"].append(seconds(lambda: np.asarray(nibabel.load(file).dataobj)))
    return {name: round(median(values), 3) for name, values in found.items()}


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=NAME)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(given.model, given.rounds, Path(folder))
    print(f"new process   {found['cold']:.1f} s, {found['cold'] / found['imports']:.1f} x import of torch and timm")
    print(f"              {found['mb']:.0f} MB; goals {LIMITS['cold']:.0f} s and {LIMITS['mb']:.0f} MB")
    print(f"warm process  {found['warm']:.2f} s, {found['warm'] / found['read']:.1f} x reading the file with nibabel")
    print(f"              goal {LIMITS['warm']:.0f} s")
    conditions = {"machine": machine(torch.device("cpu")), "versions": versions(("torch", "timm", "nibabel"))}
    record = {**conditions, "slices": SLICES, **found}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
