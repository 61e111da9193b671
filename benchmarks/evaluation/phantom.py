"""A label map and a reader's imperfect copy of it, made from formulas: the input of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.organs import Structure

SHAPE = (80, 512, 512)
SPACING_MM = (3.0, 0.75, 0.75)
DISAGREEMENT = 0.013  # of an organ's extent: about 1 mm at the liver
ISLANDS = 12
ISLAND_RADIUS_MM = (2.0, 5.0)


@dataclass(frozen=True)
class Organ:
    """A wavy ellipsoid: half axes about `extent_mm`, cut at the level that gives `litres`."""

    structure: Structure
    litres: float
    centre_mm: tuple[float, float, float]
    extent_mm: tuple[float, float, float]


ORGANS = (
    Organ(Structure.LIVER, 1.5, (120.0, 180.0, 130.0), (70.0, 75.0, 85.0)),
    Organ(Structure.SPLEEN, 0.25, (130.0, 230.0, 290.0), (50.0, 45.0, 30.0)),
)


def label_pair(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Prediction and reference, (slice, row, column): a liver of 1.5 L, a spleen of 0.25 L; islands in the first."""
    rng = np.random.default_rng(seed)
    axes = [np.arange(n, dtype=np.float32) * step for n, step in zip(SHAPE, SPACING_MM, strict=True)]
    prediction, reference = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    for organ in ORGANS:
        places = [(x - c) / e for x, c, e in zip(axes, organ.centre_mm, organ.extent_mm, strict=True)]
        box = tuple(slice(*np.searchsorted(place, (-1.5, 1.5))) for place in places)
        scaled = np.ix_(*(place[part] for place, part in zip(places, box, strict=True)))
        drawn = np.sqrt(sum(x**2 for x in scaled)) + _waves(scaled, rng, sd=0.12, rate=2.5)
        copied = drawn + _waves(scaled, rng, sd=DISAGREEMENT, rate=8.0)
        voxels = round(organ.litres * 1e6 / float(np.prod(SPACING_MM)))
        for labels, field in ((reference[box], drawn), (prediction[box], copied)):
            labels[(field <= np.partition(field, voxels, axis=None)[voxels]) & (labels == 0)] = organ.structure
    for island in range(ISLANDS):
        centre = [rng.uniform(0.15, 0.85) * x[-1] for x in axes]
        squares = np.ix_(*((x - c) ** 2 for x, c in zip(axes, centre, strict=True)))
        inside = sum(squares) <= rng.uniform(*ISLAND_RADIUS_MM) ** 2
        prediction[inside & (prediction == 0)] = ORGANS[0 if island % 3 else 1].structure
    return prediction, reference


def _waves(scaled: tuple[NDArray[Any], ...], rng: np.random.Generator, *, sd: float, rate: float) -> NDArray[Any]:
    """A smooth field: eight plane waves in random directions with a standard deviation of `sd` in sum."""
    total = np.zeros(np.broadcast_shapes(*(x.shape for x in scaled)), np.float32)
    for _ in range(8):
        direction = rng.normal(size=3)
        direction = (direction * rate / np.linalg.norm(direction)).astype(np.float32)
        phase = np.float32(rng.uniform(0, 2 * np.pi))
        total += np.sin(sum(x * k for x, k in zip(scaled, direction, strict=True)) + phase)
    return total * np.float32(sd / 2)  # each wave has √(1/2)
