"""The input of the benchmark: a label map from formulas and an imperfect copy of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.organs import Structure

SHAPE = (80, 512, 512)
SPACING_MM = (3.0, 0.75, 0.75)
DISAGREEMENT = 0.013  # fraction of the extent of an organ: about 1 mm for the liver
ISLANDS = 12
ISLAND_RADIUS_MM = (2.0, 5.0)


@dataclass(frozen=True)
class Organ:
    """An ellipsoid with a wavy surface: half axes of about `extent_mm`, volume `litres`."""

    structure: Structure
    litres: float
    centre_mm: tuple[float, float, float]
    extent_mm: tuple[float, float, float]


ORGANS = (
    Organ(Structure.LIVER, 1.5, (120.0, 180.0, 130.0), (70.0, 75.0, 85.0)),
    Organ(Structure.SPLEEN, 0.25, (130.0, 230.0, 290.0), (50.0, 45.0, 30.0)),
)


def label_pair(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return prediction and reference, (slice, row, column): a liver of 1.5 L and a spleen of 0.25 L.

    The prediction also has islands.
    """
    rng = np.random.default_rng(seed)
    axes = [np.arange(n, dtype=np.float32) * step for n, step in zip(SHAPE, SPACING_MM, strict=True)]
    prediction, reference = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    for organ in ORGANS:
        coordinates = [(x - c) / e for x, c, e in zip(axes, organ.centre_mm, organ.extent_mm, strict=True)]
        box = tuple(slice(*np.searchsorted(axis, (-1.5, 1.5))) for axis in coordinates)
        scaled = np.ix_(*(axis[part] for axis, part in zip(coordinates, box, strict=True)))
        level = np.sqrt(sum(x**2 for x in scaled)) + _waves(scaled, rng, sd=0.12, rate=2.5)
        copy = level + _waves(scaled, rng, sd=DISAGREEMENT, rate=8.0)
        voxels = round(organ.litres * 1e6 / float(np.prod(SPACING_MM)))
        for labels, field in ((reference[box], level), (prediction[box], copy)):
            labels[(field <= np.partition(field, voxels, axis=None)[voxels]) & (labels == 0)] = organ.structure
    for island in range(ISLANDS):
        centre = [rng.uniform(0.15, 0.85) * x[-1] for x in axes]
        squares = np.ix_(*((x - c) ** 2 for x, c in zip(axes, centre, strict=True)))
        inside = sum(squares) <= rng.uniform(*ISLAND_RADIUS_MM) ** 2
        prediction[inside & (prediction == 0)] = ORGANS[0 if island % 3 else 1].structure
    return prediction, reference


def _waves(scaled: tuple[NDArray[Any], ...], rng: np.random.Generator, *, sd: float, rate: float) -> NDArray[Any]:
    """Return a smooth field: the sum of eight plane waves in random directions, with a standard deviation of `sd`."""
    total = np.zeros(np.broadcast_shapes(*(x.shape for x in scaled)), np.float32)
    for _ in range(8):
        direction = rng.normal(size=3)
        direction = (direction * rate / np.linalg.norm(direction)).astype(np.float32)
        phase = np.float32(rng.uniform(0, 2 * np.pi))
        total += np.sin(sum(x * k for x, k in zip(scaled, direction, strict=True)) + phase)
    return total * np.float32(sd / 2)  # the SD of each wave is √(1/2)
