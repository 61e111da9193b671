"""Run as a process of its own by test_memory.py: how far memory grows in a prediction, in bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from stand_ins import Pointwise, stand_in

from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference import Ensemble, segment, segment_volume
from liverspleen.inference.streaming import Stored

MATRIX = 512


def status(name: str) -> int:
    """Return a line of /proc/self/status in bytes: VmRSS, or the peak VmHWM (getrusage includes the parent's peak)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def driver(slices: int, batch_size: int, distance_mm: float) -> int:
    """Return the memory used in addition to CT, label map and loaded network."""
    ct = CTVolume(np.full((slices, MATRIX, MATRIX), 50, np.int16), grid_of(slices))
    model = stand_in(Pointwise(), slice_distance_mm=distance_mm)
    small = CTVolume(ct.hu[:1], grid_of(1))
    segment_volume(small, model)  # modules are imported with the first call
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # reset VmHWM
    before = status("VmRSS")
    labels = segment_volume(ct, model, batch_size=batch_size).label_map
    return status("VmHWM") - before - labels.labels.nbytes


def ensemble(slices: int, stored: Stored | None) -> int:
    """Return the memory that five networks use in addition to CT, label map, probability maps and loaded networks."""
    ct = CTVolume(np.full((slices, MATRIX, MATRIX), 50, np.int16), grid_of(slices))
    model = Ensemble(tuple(stand_in(Pointwise()) for _ in range(5)), "")
    small = CTVolume(ct.hu[:1], grid_of(1))
    segment_volume(small, model, probabilities=stored)  # modules are imported with the first call
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # reset VmHWM
    before = status("VmRSS")
    found = segment_volume(ct, model, batch_size=1, probabilities=stored)
    maps = 0 if found.probabilities is None else found.probabilities.nbytes
    return status("VmHWM") - before - found.label_map.labels.nbytes - maps


def grid_of(slices: int) -> Geometry:
    return Geometry((MATRIX, MATRIX, slices), np.diag([-0.7, -0.7, 1.0, 1.0]))


def whole(image: Path, target: Path) -> int:
    """Return the peak of the process from reading the file to writing the labels."""
    write_label_map(target, segment(image, stand_in(Pointwise())))
    return status("VmHWM")


if __name__ == "__main__":
    torch.set_num_threads(1)
    message, *words = sys.argv[1:]
    if message == "driver":
        found = driver(int(words[0]), int(words[1]), float(words[2]))
    elif message == "ensemble":
        found = ensemble(int(words[0]), "uint8" if words[1:] else None)
    else:
        found = whole(Path(words[0]), Path(words[1]))
    sys.stdout.write(f"{found}\n")
