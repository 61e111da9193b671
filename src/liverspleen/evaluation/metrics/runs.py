"""Runs of a mask along its columns, and their connected parts."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Neighbours = Literal[6, 26]
"""Neighbours of a voxel: 6 share a face with it; 26 share a face, an edge or a corner."""

_ROWS: Final[dict[Neighbours, tuple[tuple[int, int], ...]]] = {
    6: ((0, 1), (1, 0)),
    26: ((0, 1), (1, -1), (1, 0), (1, 1)),
}
"""Slice and row of the neighbouring rows that follow a row, relative to it."""


def connected_runs(
    mask: NDArray[np.bool_], neighbours: Neighbours
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the runs of a (slice, row, column) mask and the connected part of each run.

    All voxels of a run are in the same part, so the time depends on the number of runs and not of voxels.

    Returns:
        Slice, row and first column of each run (run, axis), slice by slice and row by row; its length; the number of
        its part. Parts are numbered from 0 in the order of their first runs.

    >>> mask = np.array([[[1, 1, 0, 1], [0, 0, 1, 0]]], bool)
    >>> places, lengths, part = connected_runs(mask, 6)
    >>> places.tolist(), lengths.tolist(), part.tolist()
    ([[0, 0, 0], [0, 0, 3], [0, 1, 2]], [2, 1, 1], [0, 1, 2])
    >>> connected_runs(mask, 26)[2].tolist()
    [0, 0, 0]
    """
    slices, rows, columns = mask.shape
    # background around each row and between slices: no run continues, and no neighbour is found, beyond an edge
    padded = np.zeros((slices, rows + 1, columns + 2), bool)
    padded[:, :rows, 1:-1] = mask
    flat = padded.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, stops = changes[::2], changes[1::2]
    part = np.arange(starts.size)
    reach = 0 if neighbours == 6 else 1
    for slice_step, row_step in _ROWS[neighbours]:
        step = (slice_step * (rows + 1) + row_step) * (columns + 2)
        first, second = _overlaps(starts, stops, step, reach)
        part = _joined(part, part[first], part[second])
    places = np.stack(np.unravel_index(starts, padded.shape), axis=1)
    places[:, 2] -= 1
    return places, stops - starts, part


def _overlaps(
    starts: NDArray[np.intp], stops: NDArray[np.intp], step: int, reach: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of runs that overlap if the first is moved by `step` and extended by `reach` at both ends."""
    begin = np.searchsorted(stops, starts + (step - reach), side="right")
    end = np.searchsorted(starts, stops + (step + reach), side="left")
    counts = end - begin
    first = np.repeat(np.arange(starts.size), counts)
    within = np.arange(first.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, begin[first] + within


def _joined(part: NDArray[np.intp], first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the part numbers after the pairs of parts are joined."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = int(part.max(initial=-1)) + 1
    pairs = coo_array((np.ones(first.size, bool), (first, second)), shape=(count, count))
    # SciPy numbers the groups in the order of their first members
    return connected_components(pairs, directed=False)[1].astype(np.intp)[part]
