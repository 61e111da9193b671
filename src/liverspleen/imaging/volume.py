"""CT volumes and label maps in memory: arrays in (slice, row, column) order with their grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.geometry import Geometry
from liverspleen.organs import ORGANS, Structure

_FACES = (("inferior", "superior"), ("anterior", "posterior"), ("right", "left"))  # ends of slice, row, column axis


@dataclass(frozen=True, eq=False)
class CTVolume:
    """A CT examination.

    `hu` is int16 in Hounsfield units, (slice, row, column), slice 0 the most inferior. `clipped_voxels` is the number
    of voxels whose stored value did not fit int16 and was set to its limit. `fractional` is True if stored values were
    rounded to whole numbers.

    Raises:
        ValueError: dtype or shape is wrong.
    """

    hu: NDArray[np.int16]
    geometry: Geometry
    clipped_voxels: int = 0
    fractional: bool = False

    def __post_init__(self) -> None:
        if self.hu.dtype != np.int16 or self.hu.shape != self.geometry.canonical_shape:
            raise ValueError(
                f"hu is {self.hu.dtype} of shape {self.hu.shape}, "
                f"expected int16 of shape {self.geometry.canonical_shape}"
            )


@dataclass(frozen=True, eq=False)
class LabelMap:
    """The structures annotated on a CT.

    `labels` is uint8, (slice, row, column), with the values of `Structure`. `covered` lists the annotated structures;
    any other structure is unknown, not absent.

    Raises:
        ValueError: dtype or shape is wrong.

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

    def to_native(self) -> NDArray[np.uint8]:
        """Return the labels in the axis order of the source file or array, which is that of `geometry.affine`.

        >>> labels = np.zeros((6, 5, 4), np.uint8); labels[0, 0, 0] = Structure.LIVER  # inferior, anterior, right
        >>> native = LabelMap(labels, Geometry((4, 5, 6), np.eye(4))).to_native()
        >>> native.shape, int(native[3, 4, 0])  # axes grow to the right, to anterior and to superior
        ((4, 5, 6), 1)
        """
        return self.geometry.to_native(self.labels)

    def count(self, structure: Structure) -> int:
        """Return the number of voxels of the structure."""
        # slice by slice: a mask of the complete volume does not fit the processor's cache
        return sum(int(np.count_nonzero(plane == int(structure))) for plane in self.labels)

    def box(self, structure: Structure) -> tuple[slice, slice, slice] | None:
        """Return the smallest box around all voxels of the structure; None if there are none.

        >>> labels = np.zeros((3, 4, 5), np.uint8); labels[1, 2:, 3] = Structure.LIVER
        >>> LabelMap(labels, Geometry((5, 4, 3), np.eye(4))).box(Structure.LIVER)
        (slice(1, 2, None), slice(2, 4, None), slice(3, 4, None))
        """
        shape = self.labels.shape
        mask, projection = np.empty(shape[1:], bool), np.zeros(shape[1:], bool)
        filled = np.zeros(shape[0], bool)
        for index, plane in enumerate(self.labels):
            filled[index] = np.equal(plane, int(structure), out=mask).any()
            if filled[index]:
                projection |= mask
        if not filled.any():
            return None
        rows, columns = (_extent(np.logical_or.reduce(projection, axis=axis)) for axis in (1, 0))
        return _extent(filled), rows, columns

    def faces(self, structure: Structure) -> tuple[str, ...]:
        """Return the anatomical names of the outer faces of the grid that the structure touches, inferior first.

        >>> labels = np.zeros((3, 4, 5), np.uint8); labels[1:, 2:, 3] = Structure.LIVER
        >>> LabelMap(labels, Geometry((5, 4, 3), np.eye(4))).faces(Structure.LIVER)
        ('superior', 'posterior')
        """
        return touched_faces(self.box(structure), self.labels.shape)


def touched_faces(box: tuple[slice, slice, slice] | None, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the outer faces of a (slice, row, column) grid that a box touches; none for None."""
    if box is None:
        return ()
    ends = zip(_FACES, box, shape, strict=True)
    return tuple(
        name
        for names, extent, size in ends
        for name, touches in zip(names, (extent.start == 0, extent.stop == size), strict=True)
        if touches
    )


def _extent(line: NDArray[np.bool_]) -> slice:
    inside = np.flatnonzero(line)
    return slice(int(inside[0]), int(inside[-1]) + 1)
