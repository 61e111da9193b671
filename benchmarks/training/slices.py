"""A slice cache of phantoms from formulas, so that the benchmark needs no images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liverspleen.data.cache import CachedCase
from liverspleen.organs import Structure

COUNT = 80  # slices in a case
HU = {Structure.BACKGROUND: 20, Structure.LIVER: 110, Structure.SPLEEN: 130}
NOISE_HU = 15.0
ELLIPSOIDS = {  # centre and half axes as fractions of (slices, rows, columns)
    Structure.LIVER: ((0.5, 0.45, 0.35), (0.4, 0.22, 0.2)),
    Structure.SPLEEN: ((0.55, 0.6, 0.75), (0.25, 0.12, 0.08)),
}


def write_cases(cache: Path, *, cases: int, matrix: int) -> None:
    """Write cases into `cache`: an elliptic body in air with a liver and a spleen, and noise."""
    for index in range(cases):
        rng = np.random.default_rng(index)
        slices, rows, columns = np.ogrid[0 : 1 : COUNT * 1j, 0 : 1 : matrix * 1j, 0 : 1 : matrix * 1j]
        labels = np.zeros((COUNT, matrix, matrix), np.uint8)
        for organ, (centre, extent) in ELLIPSOIDS.items():
            z, y, x = centre + rng.normal(0, 0.02, 3)
            a, b, c = extent
            labels[((slices - z) / a) ** 2 + ((rows - y) / b) ** 2 + ((columns - x) / c) ** 2 <= 1] = organ
        tissue = np.array([HU[organ] for organ in Structure], np.float32)[labels]
        air = np.broadcast_to(((rows - 0.5) / 0.35) ** 2 + ((columns - 0.5) / 0.45) ** 2 > 1, labels.shape)
        tissue[air] = -1000
        noise = rng.standard_normal(labels.shape, np.float32) * NOISE_HU
        folder = cache / f"case{index}"
        folder.mkdir(parents=True)
        np.save(folder / "slices.npy", (tissue + noise).astype(np.int16))
        np.save(folder / "labels.npy", labels)


def cached_cases(cache: Path) -> list[CachedCase]:
    """Return the cases that `write_cases` wrote."""
    return [
        CachedCase(folder.name, folder.name, folder, np.load(folder / "labels.npy", mmap_mode="r").shape, folder.name)
        for folder in sorted(cache.iterdir())
    ]
