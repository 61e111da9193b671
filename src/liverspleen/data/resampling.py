"""Resampling of slices to another pixel size over the same field of view, for training and prediction."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Matrix = tuple[int, int]
"""Rows and columns of a slice."""


def resampled_matrix(matrix: Matrix, spacing_mm: tuple[float, float], pixel_mm: float | None) -> Matrix:
    """Return rows and columns of a resampled slice: its edges over `pixel_mm`, rounded; None: unchanged.

    >>> resampled_matrix((512, 512), (0.75, 0.75), 1.5), resampled_matrix((512, 400), (0.7, 0.7), None)
    ((256, 256), (512, 400))
    """
    if pixel_mm is None:
        return matrix
    rows, columns = (max(1, round(n * edge / pixel_mm)) for n, edge in zip(matrix, spacing_mm, strict=True))
    return rows, columns


def resampled_hu(slices: NDArray[np.int16], matrix: Matrix) -> NDArray[np.int16]:
    """Return (slice, row, column) HU on `matrix`, rounded; the same array if the matrix is unchanged.

    The outer borders of the image are kept (as with `align_corners=False` in torch). Each new pixel is a mean with
    triangular weights as wide as two pixels of the coarser grid: bilinear if the image is enlarged, without aliasing if
    it is reduced. Sums are in float64 and in a fixed order, so that machines agree.
    """
    if slices.shape[1:] == matrix:
        return slices
    down, across = (_triangles(old, new) for old, new in zip(slices.shape[1:], matrix, strict=True))
    found = np.empty((len(slices), *matrix), np.int16)
    for plane, new in zip(slices, found, strict=True):
        new[:] = np.rint((across @ (down @ plane.astype(np.float64)).T).T)
    return found


def resampled_labels(labels: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """Return (slice, row, column) labels on `matrix`: those of the voxel at the centre of each new pixel."""
    if labels.shape[1:] == matrix:
        return labels
    rows, columns = (_nearest(old, new) for old, new in zip(labels.shape[1:], matrix, strict=True))
    found = np.empty((len(labels), *matrix), np.uint8)
    for plane, new in zip(labels, found, strict=True):
        new[:] = plane[rows[:, None], columns]
    return found


def _nearest(old: int, new: int) -> NDArray[np.intp]:
    # in integers: (2 k + 1) old / (2 new), rounded down
    return np.asarray((2 * np.arange(new) + 1) * old // (2 * new), dtype=np.intp)


@lru_cache(maxsize=8)  # slices of one CT are resampled one by one
def _triangles(old: int, new: int) -> Any:
    """Return weights (new, old); each row has the sum 1."""
    scale = old / new
    reach = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale - 0.5
    places = np.floor(centres - reach).astype(int)[:, None] + np.arange(int(2 * reach) + 3)
    weights = np.clip(1 - np.abs(places - centres[:, None]) / reach, 0, None)
    weights[(places < 0) | (places >= old)] = 0  # no pixels outside the image
    weights /= weights.sum(1, keepdims=True)
    rows = np.broadcast_to(np.arange(new)[:, None], places.shape)
    entries = (weights.ravel(), (rows.ravel(), places.clip(0, old - 1).ravel()))
    matrix = csr_array(entries, shape=(new, old))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
