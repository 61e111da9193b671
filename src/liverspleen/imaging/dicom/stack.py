"""Slices as a stack: their order by position, the grid they make, or why they make none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.dicom.header import Instance
from liverspleen.imaging.dicom.series import Left
from liverspleen.imaging.geometry import GRID_TOLERANCE, Geometry

COSINE_TOLERANCE = 2e-4
"""Direction cosines this close are equal. Two values rounded to four decimals differ by up to 1e-4; at 2e-4 the far
corner of a 500 mm slice is off by 0.1 mm, less than a sixth of a CT's pixel."""

SPACING_TOLERANCE = 1e-4
"""Pixel spacings that differ by this share are equal: 0.05 pixels over 512."""

ROUNDING_MM = 0.1
"""Positions written with one decimal, as some scanners do, lie up to 0.05 mm off, and two of them 0.1 mm apart."""

SAME_MM = 0.01
"""Slices nearer than this have the same position: ten times below any slice spacing, twice the rounding of two
decimals."""

PIXEL_LIMIT = 1 << 24
"""Pixels of a slice: 4096 x 4096, four times the largest matrix of a CT scanner."""

NO_GEOMETRY, MIXED_ORIENTATION, MIXED_MATRIX = "LS-DCM-007", "LS-DCM-008", "LS-DCM-009"
TILT, DUPLICATE, MISSING, IRREGULAR, TOO_FEW = "LS-DCM-010", "LS-DCM-011", "LS-DCM-012", "LS-DCM-013", "LS-DCM-014"


@dataclass(frozen=True)
class Stack:
    """Slices in the order of their positions, with their grid, or with the reasons why they have none."""

    instances: tuple[Instance, ...]
    geometry: Geometry | None
    left: tuple[Left, ...]


def stack(instances: Sequence[Instance], *, minimum_slices: int) -> Stack:
    """The stack that the instances make, ordered along the normal of their plane."""
    few = _too_few(len(instances), minimum_slices)
    if issues := _uneven(instances):
        return Stack(tuple(instances), None, (*issues, *few))
    first = instances[0]
    rows_cols = plane_directions(first.orientation or ())
    assert rows_cols is not None  # _uneven looked at both
    assert first.pixel_spacing is not None
    across, down = rows_cols
    normal = np.cross(across, down)
    positions = np.array([instance.position for instance in instances])
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    ordered = tuple(instances[i] for i in order)
    positions, heights = positions[order], heights[order]
    distinct = np.concatenate([[True], np.diff(heights) > SAME_MM])
    left = [
        *_duplicates(ordered, distinct),
        *_tilt(positions[distinct], heights[distinct], normal, min(first.pixel_spacing)),
        *_gaps(heights[distinct]),
        *_too_few(int(distinct.sum()), minimum_slices),
    ]
    if left or len(instances) < 2:
        return Stack(ordered, None, tuple(left))
    affine = np.eye(4)
    affine[:3, 0] = across * first.pixel_spacing[1]  # PixelSpacing: first between rows, then between columns
    affine[:3, 1] = down * first.pixel_spacing[0]
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(instances) - 1)
    affine[:3, 3] = positions[0]
    affine[:2] = 0.0 - affine[:2]  # from DICOM's world, left and posterior, to right and anterior; no -0
    return Stack(ordered, Geometry((first.columns, first.rows, len(instances)), affine), ())


def plane_directions(orientation: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Unit vectors of growing column index and growing row index; None if they are no perpendicular unit vectors."""
    if len(orientation) != 6:
        return None
    across, down = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(across @ down)) > 10 * COSINE_TOLERANCE:
        return None
    across = across / lengths[0]
    down = down - (down @ across) * across
    return across, down / np.linalg.norm(down)


def _uneven(instances: Sequence[Instance]) -> list[Left]:
    """Why the slices have no common plane and matrix."""
    without = sum(not _usable(instance) for instance in instances)
    if without:
        message = "no usable position, orientation, pixel spacing or matrix size"
        return [Left(NO_GEOMETRY, f"{without} of {len(instances)} slices have {message}")]
    left = []
    first = instances[0]
    orientations = np.array([i.orientation for i in instances])
    turned = int((abs(orientations - orientations[0]).max(axis=1) > COSINE_TOLERANCE).sum())
    if turned:
        left.append(Left(MIXED_ORIENTATION, f"{turned} of {len(instances)} slices lie in another direction"))
    spacings = np.array([i.pixel_spacing for i in instances])
    other = (abs(spacings / spacings[0] - 1) > SPACING_TOLERANCE).any(axis=1)
    other |= np.array([(i.rows, i.columns) != (first.rows, first.columns) for i in instances])
    if other.any():
        message = f"{int(other.sum())} of {len(instances)} slices have another matrix or pixel spacing"
        left.append(Left(MIXED_MATRIX, message))
    return left


def _usable(instance: Instance) -> bool:
    """Whether there is a place in space, and one that a patient can have: within a kilometre, pixels within a metre."""
    if not (instance.position and instance.pixel_spacing and instance.orientation):
        return False
    return (
        max(map(abs, instance.position)) < 1e6
        and 1e-3 < min(instance.pixel_spacing) <= max(instance.pixel_spacing) < 1e3
        and plane_directions(instance.orientation) is not None
        and 0 < instance.rows < 1 << 16
        and 0 < instance.columns < 1 << 16
        and instance.rows * instance.columns <= PIXEL_LIMIT
    )


def _too_few(slices: int, minimum: int) -> list[Left]:
    needed = max(minimum, 2)  # one slice has no spacing
    return [Left(TOO_FEW, f"{slices} slices, expected at least {needed}")] if slices < needed else []


def _duplicates(ordered: Sequence[Instance], distinct: NDArray[np.bool_]) -> list[Left]:
    number = int((~distinct).sum())
    if not number:
        return []
    pairs = [(ordered[i - 1], ordered[i]) for i in np.flatnonzero(~distinct).tolist()]
    hint = ""
    if any(any(x and y and x != y for x, y in zip(a.acquisition, b.acquisition, strict=True)) for a, b in pairs):
        hint = "; their acquisition numbers or times differ: two phases, it seems, to be exported apart"
    return [Left(DUPLICATE, f"{number} of {len(ordered)} slices have the position of another one{hint}")]


def _tilt(
    positions: NDArray[np.float64], heights: NDArray[np.float64], normal: NDArray[np.float64], pixel_mm: float
) -> list[Left]:
    """Slices that do not lie above each other: shifted in their plane by more than a tenth of a pixel."""
    if len(heights) < 2:
        return []
    shifts = positions - positions[0] - np.outer(heights - heights[0], normal)
    allowed = max(GRID_TOLERANCE * pixel_mm, ROUNDING_MM)
    if np.linalg.norm(shifts, axis=1).max() <= allowed:
        return []
    slope = shifts[-1] / (heights[-1] - heights[0])
    if np.linalg.norm(shifts - np.outer(heights - heights[0], slope), axis=1).max() > 2 * allowed:
        return [Left(IRREGULAR, f"slices are shifted against each other in their plane, by up to {_largest(shifts)}")]
    angle = math.degrees(math.atan(float(np.linalg.norm(slope))))
    message = f"gantry tilt of {angle:.1f} degrees: slices are sheared against their normal"
    return [Left(TILT, f"{message}, by up to {_largest(shifts)}")]


def _largest(shifts: NDArray[np.float64]) -> str:
    return f"{np.linalg.norm(shifts, axis=1).max():.1f} mm"


def _gaps(heights: NDArray[np.float64]) -> list[Left]:
    """Slices that are not evenly spaced: off their place by more than a tenth of the spacing.

    Places, not steps, are compared: rounding errors of positions then do not add up.
    """
    if len(heights) < 3:
        return []
    places = np.linspace(heights[0], heights[-1], len(heights))
    steps = np.diff(heights)
    usual = float(np.median(steps))
    allowed = max(GRID_TOLERANCE * usual, ROUNDING_MM)
    if abs(heights - places).max() <= allowed:
        return []
    times = np.maximum(np.rint(steps / usual), 1)
    wrong = abs(steps - times * usual) > allowed
    if wrong.any():
        message = f"{int(wrong.sum())} of {len(steps)} gaps between slices are irregular"
        return [Left(IRREGULAR, f"{message}: {steps.min():.2f} to {steps.max():.2f} mm, mostly {usual:.2f} mm")]
    if not (times > 1).any():
        return [Left(IRREGULAR, f"gaps between slices drift from {steps.min():.2f} to {steps.max():.2f} mm")]
    holes, missing = int((times > 1).sum()), int((times - 1).sum())
    return [Left(MISSING, f"{missing} slices are missing in {holes} gaps; the others are {usual:.2f} mm apart")]
