"""One organ of a label map: mask within its bounding box, volume, centre and parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverspleen.imaging.volume import LabelMap, touched_faces
from liverspleen.organs import Structure


@dataclass(frozen=True, eq=False)
class Organ:
    """The voxels of a structure: `mask` is the part of the grid in `box`, the bounding box."""

    structure: Structure
    mask: NDArray[np.bool_]
    box: tuple[slice, slice, slice]
    voxel_mm3: float
    faces: tuple[str, ...]

    @cached_property
    def by_slice(self) -> NDArray[np.intp]:
        """Number of voxels in each slice of the box."""
        return np.array([np.count_nonzero(plane) for plane in self.mask], np.intp)

    @property
    def volume_cm3(self) -> float:
        """Number of voxels times |det| of the affine, in cm³."""
        return int(self.by_slice.sum()) * self.voxel_mm3 / 1000

    @cached_property
    def centre(self) -> tuple[float, float, float]:
        """Mean slice, row and column index on the whole grid."""
        flat = self.mask.sum(axis=0, dtype=np.int64)
        means = [
            float(np.average(np.arange(counts.size), weights=counts)) + extent.start
            for counts, extent in zip((self.by_slice, flat.sum(axis=1), flat.sum(axis=0)), self.box, strict=True)
        ]
        return means[0], means[1], means[2]

    @cached_property
    def parts_cm3(self) -> NDArray[np.float64]:
        """Volumes of the connected components (26 neighbours) in cm³, the largest first."""
        return self._component_cm3(self.mask, np.ones((3, 3, 3), bool))

    @cached_property
    def holes_cm3(self) -> NDArray[np.float64]:
        """Volumes of the enclosed cavities (6 neighbours) in cm³, the largest first."""
        outside = np.pad(~self.mask, 1, constant_values=True)
        labels, _ = ndimage.label(outside)
        volumes = np.bincount(labels.ravel())[2:] * self.voxel_mm3 / 1000  # 0 is the organ, 1 the outside
        return np.sort(volumes)[::-1]

    def _component_cm3(self, mask: NDArray[np.bool_], neighbours: NDArray[np.bool_]) -> NDArray[np.float64]:
        labels, _ = ndimage.label(mask, structure=neighbours)
        return np.sort(np.bincount(labels.ravel())[1:] * self.voxel_mm3 / 1000)[::-1]


def find_organ(label_map: LabelMap, structure: Structure) -> Organ | None:
    """Return an organ of a label map; None if it has no voxel.

    >>> from liverspleen.imaging import Geometry
    >>> labels = np.zeros((4, 4, 4), np.uint8); labels[1:3, 0, 2] = Structure.SPLEEN
    >>> spleen = find_organ(LabelMap(labels, Geometry((4, 4, 4), np.diag([10.0, 10, 10, 1]))), Structure.SPLEEN)
    >>> spleen.volume_cm3, spleen.centre, spleen.faces
    (2.0, (1.5, 0.0, 2.0), ('anterior',))
    """
    box = label_map.box(structure)
    if box is None:
        return None
    return Organ(
        structure=structure,
        mask=np.ascontiguousarray(label_map.labels[box] == int(structure)),
        box=box,
        voxel_mm3=label_map.geometry.voxel_volume_mm3,
        faces=touched_faces(box, label_map.labels.shape),
    )
