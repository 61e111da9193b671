"""Surface points of a mask on a padded grid, computed in blocks that fit into the cache of a core.

The two masks of a comparison are in one box with a margin of background, so that neighbours are flat offsets: no index
leaves the box or reaches the next row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 1 << 16
"""Voxels processed at a time."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Surface points of a mask: `is_point` on the flat padded grid, flat indices, and weights (None: all equal)."""

    is_point: NDArray[np.bool_]
    points: NDArray[np.intp]
    weights: NDArray[np.float64] | None

    @property
    def area_mm2(self) -> float | None:
        """Sum of the weights, if they are areas."""
        return None if self.weights is None else float(self.weights.sum())


def padded(mask: NDArray[np.bool_], margin: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask with `margin` layers of background on both sides of each axis."""
    whole = np.zeros([n + 2 * m for n, m in zip(mask.shape, margin, strict=True)], dtype=bool)
    whole[tuple(slice(m, m + n) for n, m in zip(mask.shape, margin, strict=True))] = mask
    return whole


def common_box(*masks: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """Return the smallest box that contains all voxels of the masks; an empty box if there are none.

    >>> mask = np.zeros((5, 5, 5), bool); mask[1:3, 2, 4] = True
    >>> common_box(mask)
    (slice(1, 3, None), slice(2, 3, None), slice(4, 5, None))
    """
    between = _extent(np.logical_or.reduce([mask.any(axis=(1, 2)) for mask in masks]))
    projection = np.logical_or.reduce([mask[between].any(axis=0) for mask in masks])
    return between, _extent(projection.any(axis=1)), _extent(projection.any(axis=0))


def voxel_surface(mask: NDArray[np.bool_]) -> Surface:
    """Return the voxels of a padded mask that have a 6-neighbour outside, without weights."""
    flat, steps = mask.ravel(), _steps(mask.shape)
    is_point = np.zeros(flat.size, dtype=bool)
    found = [np.empty(0, dtype=np.intp)]
    for start, stop in _blocks(steps[0], flat.size - steps[0]):
        if not flat[start:stop].any():
            continue
        inner = flat[start - 1 : stop - 1] & flat[start + 1 : stop + 1]
        for step in steps[:2]:
            inner &= flat[start - step : stop - step]
            inner &= flat[start + step : stop + step]
        border = np.greater(flat[start:stop], inner, out=is_point[start:stop])
        found.append(np.flatnonzero(border) + start)
    return Surface(is_point, np.concatenate(found), None)


def area_surface(mask: NDArray[np.bool_], areas_mm2: NDArray[np.float64]) -> Surface:
    """Return the cells of 2 x 2 x 2 voxels of a padded mask that the surface crosses, weighted by area.

    `areas_mm2` are those of the 256 codes. A cell has the index of its voxel with the smallest indices.
    """
    flat = mask.ravel().view(np.uint8)
    slice_step, row, _ = _steps(mask.shape)
    is_point = np.zeros(flat.size, dtype=bool)
    found, weights = [np.empty(0, dtype=np.intp)], [np.empty(0)]
    for start, stop in _blocks(0, flat.size - slice_step - row - 1):
        # the corners of these cells are in one slice and in the next one
        corners = [flat[start + up : stop + row + 1 + up] for up in (0, slice_step)]
        if not any(part.any() for part in corners):
            continue
        here, above = (_four(part, row) for part in corners)
        codes = here | above << np.uint8(4)
        # codes 0 and 255 (all outside, all inside) become 1 and 0 by adding 1
        border = np.greater(codes + np.uint8(1), 1, out=is_point[start:stop])
        points = np.flatnonzero(border)
        found.append(points + start)
        weights.append(areas_mm2[codes[points]])
    return Surface(is_point, np.concatenate(found), np.concatenate(weights))


def _four(voxels: NDArray[np.uint8], row: int) -> NDArray[np.uint8]:
    """Return each voxel, the next in its row, and the two voxels below them, as bits 0 to 3."""
    pairs = voxels[:-1] | voxels[1:] << np.uint8(1)
    return np.asarray(pairs[:-row] | pairs[row:] << np.uint8(2))


def _extent(line: NDArray[np.bool_]) -> slice:
    inside = np.flatnonzero(line)
    return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)


def _steps(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return shape[1] * shape[2], shape[2], 1


def _blocks(first: int, last: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + BLOCK, last)) for start in range(first, last, BLOCK))
