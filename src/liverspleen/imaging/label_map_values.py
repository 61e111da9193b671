"""The values of a label map, which distinguish it from a CT."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_LABELS = 150
"""Largest number of distinct values of a label map; the largest public set of structures on CT has 117."""


def looks_like_label_map(values: NDArray[Any]) -> bool:
    """Return whether voxel values are those of a label map rather than of a CT.

    They are non-negative whole numbers, more than half of them 0, with at most `MOST_LABELS` distinct values. An array
    of zeros only is a label map without a labelled voxel; an empty array is none.

    >>> looks_like_label_map(np.array([0, 0, 0, 1, 2])), looks_like_label_map(np.array([-1000, 0, 0, 0]))
    (True, False)
    """
    if 2 * np.count_nonzero(values) >= values.size:
        return False
    if values.dtype.kind == "b":
        return True
    if not values.min() >= 0:  # also for NaN
        return False
    if values.dtype.kind == "f" and not (np.isfinite(values.max()) and (values == np.rint(values)).all()):
        return False
    return bool(np.unique(values[values != 0]).size < MOST_LABELS)
