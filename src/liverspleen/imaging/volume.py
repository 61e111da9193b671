"""CT volumes and label maps in memory: arrays in (slice, row, column) order with the grid they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.geometry import Geometry
from liverspleen.structures import ORGANS, Structure


@dataclass(frozen=True, eq=False)
class CTVolume:
    """A CT examination.

    `hu` is int16 in Hounsfield units, (slice, row, column), slice 0 the most inferior. `clipped_voxels` is the number
    of voxels whose stored value did not fit int16 and was set to its end.

    Raises:
        ValueError: dtype or shape do not fit.
    """

    hu: NDArray[np.int16]
    geometry: Geometry
    clipped_voxels: int = 0

    def __post_init__(self) -> None:
        if self.hu.dtype != np.int16 or self.hu.shape != self.geometry.canonical_shape:
            raise ValueError(
                f"hu is {self.hu.dtype} of shape {self.hu.shape}, "
                f"expected int16 of shape {self.geometry.canonical_shape}"
            )


@dataclass(frozen=True, eq=False)
class LabelMap:
    """The structures drawn on a CT.

    `labels` is uint8, (slice, row, column), with the values of `Structure`. `covered` names the structures that it can
    show; another one is unknown in it, not absent.

    Raises:
        ValueError: dtype or shape do not fit.

    >>> one = np.zeros((3, 2, 2), np.uint8); one[1] = Structure.SPLEEN
    >>> LabelMap(one, Geometry((2, 2, 3), np.eye(4))).count(Structure.SPLEEN)
    4
    """

    labels: NDArray[np.uint8]
    geometry: Geometry
    covered: tuple[Structure, ...] = ORGANS

    def __post_init__(self) -> None:
        if self.labels.dtype != np.uint8 or self.labels.shape != self.geometry.canonical_shape:
            raise ValueError(
                f"labels are {self.labels.dtype} of shape {self.labels.shape}, "
                f"expected uint8 of shape {self.geometry.canonical_shape}"
            )

    def count(self, structure: Structure) -> int:
        """Number of voxels of the structure."""
        # section by section: a mask of the whole volume would leave the cache
        return sum(int(np.count_nonzero(section == int(structure))) for section in self.labels)
