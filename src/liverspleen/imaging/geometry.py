"""The voxel grid of a CT: shape, affine and axis order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID_TOLERANCE = 0.1
"""Two grids are equal if no pair of corners is further apart than this fraction of the smallest voxel edge.

float32 headers round corners by about 1e-3 mm, far less than a tenth of a CT's pixel. A shift by half a slice or half a
pixel is at least five times the tolerance.
"""

Box = tuple[slice, slice, slice]
"""A box of voxels by its extent along three axes, with start and stop."""

_CODES = (("R", "L"), ("A", "P"), ("S", "I"))  # names of the positive and negative world axes, RAS+
_CANONICAL = ((2, 1), (1, -1), (0, -1))  # slice to superior, row to posterior, column to the patient's left


@dataclass(frozen=True)
class NiftiSpace:
    """The spatial fields of a NIfTI header as they were read, to be written again unchanged.

    `pixdim` has the first four values (sign, then mm), `sform` three rows of four, `units` is `xyzt_units`.
    """

    sform_code: int
    qform_code: int
    sform: tuple[float, ...]
    quaternion: tuple[float, ...]
    qoffset: tuple[float, ...]
    pixdim: tuple[float, ...]
    units: int


@dataclass(frozen=True, eq=False)
class Geometry:
    """Shape and affine of an array in the axis order of its file (*native*), and its conversion to the canonical order.

    `affine` maps native voxel indices to mm in NIfTI's world (x to the right, y to anterior, z to superior).
    The canonical order is (slice, row, column): the slice index grows towards superior, the row index towards
    posterior, the column index towards the patient's left, as CT is displayed. For an oblique grid the closest
    assignment of axes is used (the largest product of direction cosines); nothing is resampled. `space` has the header
    fields of the source file, if there is one. `invalid_form` is the form of a NIfTI header, sform or qform, that is
    set and not valid, so that the other one gives the affine.

    Raises:
        ValueError: the shape is not three positive numbers, or the affine is not finite, affine and invertible.

    >>> geometry = Geometry((4, 5, 6), np.diag([-0.5, 0.5, 3.0, 1.0]))
    >>> geometry.axis_codes, geometry.canonical_shape, geometry.spacing_mm, geometry.voxel_volume_mm3
    (('L', 'A', 'S'), (6, 5, 4), (3.0, 0.5, 0.5), 0.75)
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    space: NiftiSpace | None = None
    invalid_form: str = ""

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape is {self.shape}, expected three positive numbers")
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or affine[3].tolist() != [0, 0, 0, 1]:
            raise ValueError("affine is not a finite 4 x 4 matrix with last row 0, 0, 0, 1")
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        # 1e-6 of a box with the same edges: no scanner shears that far, and float32 headers cannot resolve less
        if not _box_volume(affine) > 1e-6 * edges.prod():
            raise ValueError("affine is singular: voxels have no volume")
        affine.setflags(write=False)
        object.__setattr__(self, "shape", (int(self.shape[0]), int(self.shape[1]), int(self.shape[2])))
        object.__setattr__(self, "affine", affine)

    @property
    def voxel_volume_mm3(self) -> float:
        """|det| of the affine's 3 x 3 part, in mm³; correct for oblique and sheared grids too."""
        return _box_volume(self.affine)

    @cached_property
    def _order(self) -> tuple[tuple[int, int], ...]:
        """Native axis, and 1 or -1 for its direction, of slice, row and column."""
        cosines = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        axes = max(permutations(range(3)), key=lambda p: abs(cosines[2, p[0]] * cosines[1, p[1]] * cosines[0, p[2]]))
        return tuple(
            (axis, 1 if cosines[world, axis] * sign > 0 else -1)
            for axis, (world, sign) in zip(axes, _CANONICAL, strict=True)
        )

    @property
    def axis_codes(self) -> tuple[str, str, str]:
        """Anatomical direction in which each native axis grows, e.g. `('L', 'P', 'S')`."""
        codes = [""] * 3
        for (axis, direction), (world, sign) in zip(self._order, _CANONICAL, strict=True):
            codes[axis] = _CODES[world][0 if direction * sign > 0 else 1]
        return codes[0], codes[1], codes[2]

    @property
    def canonical_shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        slices, rows, columns = (self.shape[axis] for axis, _ in self._order)
        return slices, rows, columns

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along slice, row and column, in mm."""
        edges = np.linalg.norm(self.affine[:3, :3], axis=0)
        slices, rows, columns = (float(edges[axis]) for axis, _ in self._order)
        return slices, rows, columns

    @property
    def canonical_affine(self) -> NDArray[np.float64]:
        """Affine from (slice, row, column) indices to mm in NIfTI's world."""
        to_native = np.zeros((4, 4))
        to_native[3, 3] = 1.0
        for position, (axis, direction) in enumerate(self._order):
            to_native[axis, position] = direction
            to_native[axis, 3] = 0 if direction > 0 else self.shape[axis] - 1
        return np.asarray(self.affine @ to_native, dtype=np.float64)

    def to_canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of an array of the native shape in (slice, row, column) order.

        Raises:
            ValueError: `array` does not have the native shape.
        """
        if array.shape != self.shape:
            raise ValueError(f"array has shape {array.shape}, expected the native shape {self.shape}")
        view = array.transpose([axis for axis, _ in self._order])
        return view[tuple(slice(None, None, direction) for _, direction in self._order)]

    def to_native(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of an array in (slice, row, column) order in the native order; the inverse of `to_canonical`.

        Raises:
            ValueError: `array` does not have the canonical shape.
        """
        if array.shape != self.canonical_shape:
            raise ValueError(f"array has shape {array.shape}, expected the canonical shape {self.canonical_shape}")
        view = array[tuple(slice(None, None, direction) for _, direction in self._order)]
        return view.transpose(np.argsort([axis for axis, _ in self._order]))

    def box_to_native(self, box: Box) -> Box:
        """Return a (slice, row, column) box in the order of the native axes.

        >>> Geometry((4, 5, 6), np.diag([-1.0, 1.0, 1.0, 1.0])).box_to_native((slice(0, 2), slice(0, 1), slice(3, 4)))
        (slice(3, 4, None), slice(4, 5, None), slice(0, 2, None))
        """
        native = list(box)
        for extent, (axis, direction) in zip(box, self._order, strict=True):
            end = self.shape[axis]
            native[axis] = extent if direction > 0 else slice(end - extent.stop, end - extent.start)
        return native[0], native[1], native[2]


def _box_volume(affine: NDArray[np.float64]) -> float:
    """Return |det| of the 3 x 3 part as a triple product; numpy's `det` uses a logarithm and rounds."""
    first, second, third = affine[:3, :3].T
    return float(abs(first @ np.cross(second, third)))


def affine_displacement_mm(shape: tuple[int, int, int], first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the largest distance between the positions of one outer corner of an array under two affines, in mm.

    >>> affine_displacement_mm((10, 10, 10), np.eye(4), np.diag([1.0, 1.0, 1.1, 1.0]))  # 9.5 * 0.1
    0.95
    """
    corners = np.array([(*corner, 1.0) for corner in product(*((-0.5, n - 0.5) for n in shape))])
    return float(np.linalg.norm(corners @ (first - second).T, axis=1).max().round(9))


def corner_displacement_mm(first: Geometry, second: Geometry) -> float:
    """Return the largest distance between corresponding outer corners of two grids of one canonical shape, in mm.

    Corners correspond by canonical order, so the distance is 0 for a label map that has another axis order than its CT.

    Raises:
        ValueError: the canonical shapes differ.
    """
    if first.canonical_shape != second.canonical_shape:
        raise ValueError(f"grids have shapes {first.canonical_shape} and {second.canonical_shape}")
    return affine_displacement_mm(first.canonical_shape, first.canonical_affine, second.canonical_affine)


def grid_tolerance_mm(geometry: Geometry) -> float:
    """Return the largest corner displacement at which a grid equals `geometry`, in mm; see `GRID_TOLERANCE`."""
    return GRID_TOLERANCE * min(geometry.spacing_mm)


def same_grid(first: Geometry, second: Geometry) -> bool:
    """Return whether both have the same canonical shape, with corners within the tolerance of `first`.

    >>> ct = Geometry((4, 4, 4), np.diag([1.0, 1.0, 5.0, 1.0]))
    >>> shifted = ct.affine.copy(); shifted[2, 3] = 2.5
    >>> same_grid(ct, ct), same_grid(ct, Geometry((4, 4, 4), shifted))
    (True, False)
    """
    if first.canonical_shape != second.canonical_shape:
        return False
    return corner_displacement_mm(first, second) <= grid_tolerance_mm(first)
