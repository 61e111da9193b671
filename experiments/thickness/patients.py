"""Anatomies of the study, which are in no cohort of phantoms, and their scans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from settings import Settings

from liverspleen.organs import Structure
from liverspleen.phantom.anatomy import Anatomy, Condition, draw_anatomy
from liverspleen.phantom.painting import paint
from liverspleen.phantom.scanner import Acquisition, draw_scanner, plan_acquisition
from liverspleen.phantom.shapes import Grid

_UNUSED = 3  # cohorts of phantoms use 0 to 2 after the seed
_ROWS = 8  # per step: 1000 samples along z by 250 by 8 are 2 million


def anatomy(number: int, settings: Settings) -> Anatomy:
    """Return the anatomy of a patient; it does not depend on the slices. The five conditions are used in turn."""
    conditions = tuple(Condition)
    return draw_anatomy(conditions[number % len(conditions)], (settings.seed, _UNUSED, number, 1))


def acquisition(body: Anatomy, number: int, thickness_mm: float, start_mm: float, settings: Settings) -> Acquisition:
    """Return a scan of contiguous slices, the first of them `start_mm` below that of start 0.

    Scanner, field of view and position of a patient are the same at every thickness and start. Thin slices are noisier,
    as in all phantoms, and each scan has its own noise.
    """
    entropy = (settings.seed, _UNUSED, number)
    scanner = draw_scanner((*entropy, 10), matrix=settings.matrix, thickness_mm=(thickness_mm, thickness_mm))
    placed = plan_acquisition(body, scanner, (*entropy, 20))
    noise = (*entropy, 30, round(1000 * thickness_mm), round(1000 * start_mm))
    return replace(placed, bottom_mm=placed.bottom_mm - start_mm, slice_count=placed.slice_count + 1, seed=noise)


def organ_lines(body: Anatomy, organ: Structure, pixel_mm: float, step_mm: float) -> Iterator[NDArray[np.bool_]]:
    """Yield whether the organ is at samples along z through the centres of pixels, (z, rows, columns), by rows."""
    lower, upper = body.organ_box(organ)
    x, y = (np.arange(lower[axis], upper[axis], pixel_mm) + pixel_mm / 2 for axis in (0, 1))
    z = np.arange(lower[2], upper[2], step_mm) + step_mm / 2
    first = next(i for i, solid in enumerate(body.solids) if any(layer.label == organ for layer in solid.layers))
    for row in range(0, y.size, _ROWS):
        yield paint(body.solids[first:], Grid.of(x, y[row : row + _ROWS], z))[1] == organ
