"""Volumes of structures in a label map, each with its status."""

from __future__ import annotations

import numpy as np

from liverspleen.imaging.volume import LabelMap
from liverspleen.structures import Structure

OK, ABSENT, TRUNCATED = "ok", "absent", "truncated"


def volume_cm3(label_map: LabelMap, structure: Structure) -> float:
    """Voxels of the structure × |det| of the affine's 3 × 3 part, in cm³ and float64; 0 where there is no voxel.

    Header spacings are not used: on a sheared grid their product is not the volume of a voxel.

    >>> from liverspleen.imaging import Geometry
    >>> block = LabelMap(np.full((2, 10, 10), 1, np.uint8), Geometry((10, 10, 2), np.diag([1.0, 1.0, 5.0, 1.0])))
    >>> volume_cm3(block, Structure.LIVER)  # 200 voxels of 5 mm³
    1.0
    """
    return label_map.count(structure) * label_map.geometry.voxel_volume_mm3 / 1000.0


def volume_status(label_map: LabelMap, structure: Structure) -> str:
    """`absent` without a voxel, `truncated` if the structure touches an outer face of the grid, else `ok`.

    A truncated volume is that of the part inside the image; a structure that ends exactly at a face counts as truncated
    too, since the image cannot tell.
    """
    if label_map.count(structure) == 0:
        return ABSENT
    labels = label_map.labels
    faces = (np.take(labels, end, axis=axis) for axis in range(labels.ndim) for end in (0, -1))
    return TRUNCATED if any((face == int(structure)).any() for face in faces) else OK
