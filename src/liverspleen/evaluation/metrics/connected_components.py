"""Connected parts of a structure, with 26 neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.evaluation.metrics.runs import connected_runs
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure

MAIN_FRACTION: Final = 0.05
"""A part with at least this fraction of the voxels of the largest part is a main part."""

MAIN_CM3: Final = 10.0
"""A part with at least this volume is a main part, for any size of the largest part: 1 % of a liver of 1000 cm³."""


@dataclass(frozen=True)
class Part:
    """One connected part; `centre` is its mean slice, row and column index on the grid of the label map."""

    voxels: int
    volume_cm3: float
    centre: tuple[float, float, float]


@dataclass(frozen=True)
class Dropped:
    """Number and total volume of the parts that were removed from a label map."""

    parts: int = 0
    volume_cm3: float = 0.0


@dataclass(frozen=True, eq=False)
class Components:
    """All parts of a structure, the largest first; parts of equal size are in the order of their first voxels.

    A structure is stored as its runs along the columns: first slice, row and column, and length. All voxels of a run
    belong to one part, so that the time depends on the number of runs and not of voxels.
    """

    box: tuple[slice, slice, slice] | None
    voxel_cm3: float
    starts: NDArray[np.intp]  # (run, axis)
    lengths: NDArray[np.intp]
    part_of: NDArray[np.intp]  # of each run; 0 is the largest part
    voxels: NDArray[np.intp]  # of each part

    @property
    def total_cm3(self) -> float:
        """Volume of all parts."""
        return int(self.voxels.sum()) * self.voxel_cm3

    @property
    def main(self) -> int:
        """Number of main parts: the largest, and each with `MAIN_FRACTION` of its voxels or `MAIN_CM3`."""
        return int(np.count_nonzero(self._is_main(self.voxels)))

    @property
    def in_parts(self) -> bool:
        """Whether all voxels outside the largest part together have the size of a main part."""
        return self.voxels.size > 1 and bool(self._is_main(self.voxels[1:].sum()))

    def part(self, index: int) -> Part:
        """Return the part with this rank; 0 is the largest."""
        own = self.part_of == index
        starts, lengths, voxels = self.starts[own], self.lengths[own], int(self.voxels[index])
        slices, rows, columns = (int((starts[:, axis] * lengths).sum()) for axis in range(3))
        columns_within = int((lengths * (lengths - 1) // 2).sum())
        centre = (slices / voxels, rows / voxels, (columns + columns_within) / voxels)
        return Part(voxels, voxels * self.voxel_cm3, centre)

    def _is_main(self, voxels: NDArray[np.intp] | np.intp) -> Any:
        return (voxels >= MAIN_FRACTION * self.voxels[:1].sum()) | (voxels * self.voxel_cm3 >= MAIN_CM3)


def components(label_map: LabelMap, structure: Structure) -> Components:
    """Return the parts of the structure; none if it has no voxel."""
    box = label_map.box(structure)
    voxel_cm3 = label_map.geometry.voxel_volume_mm3 / 1000
    if box is None:
        none = np.empty(0, np.intp)
        return Components(None, voxel_cm3, np.empty((0, 3), np.intp), none, none, none)
    places, lengths, found = connected_runs(label_map.labels[box] == int(structure), 26)
    places += [side.start for side in box]
    # counts are whole numbers below 2^53, exact as floats
    voxels = np.bincount(found, weights=lengths).astype(np.intp)
    order = np.argsort(-voxels, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return Components(box, voxel_cm3, places, lengths, rank[found], voxels[order])


def parts(label_map: LabelMap, structure: Structure) -> tuple[Part, ...]:
    """Return the connected parts (26 neighbours) of a structure, the largest first; volumes by |det| of the affine.

    >>> from liverspleen.imaging import Geometry
    >>> labels = np.zeros((3, 8, 8), np.uint8)
    >>> labels[:2, :4, :4] = Structure.LIVER; labels[2, 4, 4] = Structure.LIVER  # they touch at a corner
    >>> labels[0, 7, 6:] = Structure.LIVER
    >>> label_map = LabelMap(labels, Geometry((8, 8, 3), np.diag([1.0, 1.0, 5.0, 1.0])))
    >>> [(part.voxels, part.volume_cm3) for part in parts(label_map, Structure.LIVER)]
    [(33, 0.165), (2, 0.01)]
    >>> parts(label_map, Structure.LIVER)[1].centre
    (0.0, 7.0, 6.5)
    """
    found = components(label_map, structure)
    return tuple(found.part(index) for index in range(found.voxels.size))


def main_parts(label_map: LabelMap, structure: Structure) -> tuple[LabelMap, Dropped]:
    """Remove the small parts of a structure; return the label map, and number and volume of the removed parts.

    A part is kept if it is the largest, or has at least `MAIN_FRACTION` (5 %) of the voxels of the largest, or at least
    `MAIN_CM3` (10 cm³). So the second part of a liver after resection, or of an organ cut by the border of the scan, is
    kept unless it is small by both measures. Removed voxels become background. Without a small part the result is the
    same label map.

    >>> from liverspleen.imaging import Geometry
    >>> labels = np.zeros((1, 8, 8), np.uint8); labels[0, :4] = Structure.SPLEEN; labels[0, 7, 7] = Structure.SPLEEN
    >>> cleared, dropped = main_parts(LabelMap(labels, Geometry((8, 8, 1), np.eye(4))), Structure.SPLEEN)
    >>> cleared.count(Structure.SPLEEN), dropped  # 1 of 32 voxels is 3 %
    (32, Dropped(parts=1, volume_cm3=0.001))
    """
    found = components(label_map, structure)
    main = found.main
    if main == found.voxels.size:
        return label_map, Dropped()
    labels = label_map.labels.copy()
    small = found.part_of >= main
    starts, lengths = found.starts[small], found.lengths[small]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    slices, rows, columns = np.repeat(starts, lengths, axis=0).T
    labels[slices, rows, columns + within] = Structure.BACKGROUND
    dropped = Dropped(found.voxels.size - main, int(found.voxels[main:].sum()) * found.voxel_cm3)
    return replace(label_map, labels=labels), dropped


def enclosed_voxels(mask: NDArray[np.bool_]) -> int:
    """Count the voxels of cavities: background that is not connected to the outside (6 neighbours).

    >>> shell = np.ones((5, 5, 5), bool); shell[2, 2, 1:4] = False
    >>> enclosed_voxels(shell)
    3
    """
    _, lengths, part = connected_runs(~np.pad(mask, 1), 6)
    return int(lengths[part != 0].sum())  # the first run is at the border, which is outside
