"""Trunk, lung and bone in slices of a CT."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BONE_HU = 250
_MOST = 12  # slices that are examined; they suffice for the region of the body
_BODY_HU = -300  # between fat, about -100, and lung or air, below -500
_LUNG_HU = (-960, -600)


@dataclass(frozen=True)
class BodyAreas:
    """Numbers of samples in a slice: the two largest parts of the body, the first one filled; lung; bone in each part.

    Foam of the couch has the density of lung, but is not enclosed by the largest part.
    """

    index: int
    parts: tuple[int, int]
    lung: int
    bones: tuple[int, int]


def body_areas(coarse: NDArray[np.int16]) -> tuple[BodyAreas, ...]:
    """Return the areas in `examined_slices` of a CT of samples."""
    return tuple(_areas(index, coarse[index]) for index in examined_slices(len(coarse)))


def examined_slices(count: int) -> list[int]:
    """Return at most 12 of the slices, evenly distributed, the lowest and the highest one included."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(count, _MOST))})


def body(hu: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Return where HU are denser than lung and air: the trunk without lungs and gas, and the couch."""
    dense: NDArray[np.bool_] = hu > _BODY_HU
    return dense


def lung_fraction(areas: Iterable[BodyAreas]) -> float:
    """Return lung as a fraction of the largest part of the body in all slices together; 0 without a body."""
    found = [*areas]
    return sum(area.lung for area in found) / max(1, sum(area.parts[0] for area in found))


def _areas(index: int, hu: NDArray[np.int16]) -> BodyAreas:
    pieces, count = ndimage.label(body(hu))
    sizes = np.bincount(pieces.ravel(), minlength=3)[1:]
    first, second = np.argsort(-sizes, kind="stable")[:2] + 1
    trunk, other = ndimage.binary_fill_holes(pieces == first) if count else pieces > 0, pieces == second
    # skin edges and most bowel gas are removed by the erosion, because they are thinner than three samples
    lung = ndimage.binary_erosion(trunk & (hu > _LUNG_HU[0]) & (hu < _LUNG_HU[1]))
    bone = hu > BONE_HU
    parts, (lungs,), bones = (
        [int(np.count_nonzero(mask)) for mask in masks]
        for masks in ((trunk, other), (lung,), (bone & trunk, bone & other))
    )
    return BodyAreas(index, (parts[0], parts[1]), lungs, (bones[0], bones[1]))
