"""Sums over the voxels of a probability map: soft volume, calibration against a reference, overlap with its label map.

Calibration has two regions: the whole image, and the box around the organ of the reference. Most voxels of an abdominal
CT are far from an organ and have a probability near 0, so that the image's ECE and Brier score mostly count easy
background, and depend on how much of the body was scanned. The box is that of the reference, so all readers have the
same voxels; what a reader finds far away counts in the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.evaluation.metrics.overlap import Overlap
from liverspleen.evaluation.statistics.calibration import SCALE, BinSums, bin_sums
from liverspleen.imaging.geometry import Box, Geometry
from liverspleen.imaging.probability_map import Floats, ProbabilityMap
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure

# Not in the paper: beyond the uncertain boundary of an organ, and much less than the size of a liver or spleen.
BOX_MARGIN_MM: Final = 10.0
"""Distance from the organ of the reference to the faces of its box."""

_HALF: Final = 0.5


@dataclass(frozen=True)
class ProbabilitySums:
    """Sums of one probability map.

    `image` has all voxels and `box` those of the box around the organ of the reference (empty if the reference lacks
    the organ); their outcomes are the voxels of the reference, or without one those of the label map. `overlap` is that
    of the voxels with a probability of 0.5 or more with the label map.
    """

    image: BinSums
    box: BinSums
    overlap: Overlap

    def volume_cm3(self, geometry: Geometry) -> float:
        """Return the sum of all probabilities times the volume of a voxel, in cm³."""
        return sum(self.image.probability) / SCALE * geometry.voxel_volume_mm3 / 1000.0


def probability_sums(
    probabilities: ProbabilityMap, organ: Structure, label_map: LabelMap, reference: LabelMap | None
) -> ProbabilitySums:
    """Return the sums of a map whose grid is that of the label map and of the reference; one block is in memory.

    Raises:
        InputError: as `ProbabilityMap.blocks`.
    """
    grid = probabilities.geometry
    truth = label_map if reference is None else reference
    own, known = (grid.to_native(one.labels) for one in (label_map, truth))
    found = None if reference is None else reference.box(organ)
    box = None if found is None else grid.box_to_native(widened(found, truth.geometry))
    image, inside, overlap, first = BinSums(), BinSums(), Overlap(0, 0, 0), 0
    for values in probabilities.blocks():
        planes = slice(first, first + values.shape[2])
        outcomes = known[..., planes] == int(organ)
        image += bin_sums(values, outcomes)
        if box is not None:
            inside += _in_box(values, outcomes, box, first)
        overlap += _overlap(values, own[..., planes] == int(organ))
        first = planes.stop
    return ProbabilitySums(image, inside, overlap)


def widened(box: Box, geometry: Geometry, margin_mm: float = BOX_MARGIN_MM) -> Box:
    """Return a (slice, row, column) box with this margin on each side, up to the faces of the grid.

    >>> widened((slice(5, 6), slice(0, 2), slice(8, 9)), Geometry((40, 40, 10), np.diag([2.0, 2.0, 5.0, 1.0])))
    (slice(3, 8, None), slice(0, 7, None), slice(3, 14, None))
    """
    margins = (math.ceil(margin_mm / edge) for edge in geometry.spacing_mm)
    sizes = zip(box, margins, geometry.canonical_shape, strict=True)
    slices, rows, columns = (
        slice(max(extent.start - voxels, 0), min(extent.stop + voxels, size)) for extent, voxels, size in sizes
    )
    return slices, rows, columns


def _in_box(values: Floats, outcomes: NDArray[np.bool_], box: Box, first: int) -> BinSums:
    """Return the sums of the voxels of a block that are in a native box; `first` is the first plane of the block."""
    planes = slice(max(box[2].start - first, 0), max(box[2].stop - first, 0))
    part = (box[0], box[1], planes)
    return bin_sums(values[part], outcomes[part])


def _overlap(values: Floats, own: NDArray[Any]) -> Overlap:
    likely = values >= _HALF
    both, ours, theirs = (int(np.count_nonzero(mask)) for mask in (likely & own, likely, own))
    return Overlap(both, ours - both, theirs - both)
