"""Order of slices by position, and the grid that they form or the reasons why they form none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liverspleen.errors import counted
from liverspleen.imaging.dicom.header import Instance
from liverspleen.imaging.dicom.series import Reason
from liverspleen.imaging.geometry import GRID_TOLERANCE, Geometry

COSINE_TOLERANCE = 2e-4
"""Direction cosines within this difference are equal. Two values rounded to four decimals differ by up to 1e-4; at 2e-4
the far corner of a 500 mm slice is off by 0.1 mm, less than a sixth of a CT's pixel."""

SPACING_TOLERANCE = 1e-4
"""Pixel spacings within this relative difference are equal: 0.05 pixels over 512."""

ROUNDING_MM = 0.1
"""Some scanners write positions with one decimal: they are off by up to 0.05 mm, the distance of two by 0.1 mm."""

SAME_MM = 0.01
"""Slices closer than this have the same position: a tenth of the smallest slice spacing, twice the rounding of two
decimals."""

PIXEL_LIMIT = 1 << 24
"""Largest number of pixels of a slice: 4096 x 4096, four times the largest matrix of a CT scanner."""

_STRAYS = 2  # images of another plane that are skipped in a short series; in longer ones a tenth of the images

CORRECT = "correct these fields in the headers, with a point in decimal numbers, or export the series again"
"""Hint about fields that are missing or not valid."""

NO_GEOMETRY, MIXED_ORIENTATION, MIXED_MATRIX = "LS-DCM-007", "LS-DCM-008", "LS-DCM-009"
TILT, DUPLICATE, MISSING, IRREGULAR, TOO_FEW = "LS-DCM-010", "LS-DCM-011", "LS-DCM-012", "LS-DCM-013", "LS-DCM-014"
STRAY, JITTER = "LS-DCM-062", "LS-DCM-064"


@dataclass(frozen=True)
class Stack:
    """Slices in the order of their positions, with their grid or with the reasons why they have none."""

    instances: tuple[Instance, ...]
    geometry: Geometry | None
    exclusions: tuple[Reason, ...]
    warnings: tuple[Reason, ...] = ()


def stack(instances: Sequence[Instance], *, minimum_slices: int) -> Stack:
    """Return the instances as a stack, ordered along the normal of their plane.

    A few images of another plane are skipped with a warning, if the other images are a complete stack without them.
    """
    found = _stack(instances, minimum_slices)
    if found.geometry is not None or len(instances) < 2:
        return found
    groups = by_plane(instances)
    main = max(groups, key=len)
    if not 0 < len(instances) - len(main) <= max(_STRAYS, len(instances) // 10):
        return found
    without = _stack(main, minimum_slices)
    strays = [instance for group in groups if group is not main for instance in group]
    if without.geometry is None or not all(_is_stray(instance, without) for instance in strays):
        return found
    message = f"{len(strays)} of {counted(len(instances), 'image')} have another plane than the slices, or"
    warning = Reason(STRAY, f"{message} another matrix, and are skipped; the slices are complete without them")
    return replace(without, warnings=(*without.warnings, warning))


def by_plane(instances: Sequence[Instance]) -> list[list[Instance]]:
    """Return the instances in groups with parallel planes and one pixel spacing and matrix, in order of appearance.

    Those without a valid plane are one group.
    """
    groups: list[list[Instance]] = []
    unusable: list[Instance] = []
    for instance in instances:
        if _unusable(instance):
            unusable.append(instance)
            continue
        same = (g for g in groups if _parallel(g[0], instance) and _same_matrix(g[0], instance))
        if (group := next(same, None)) is None:
            groups.append([instance])
        else:
            group.append(instance)
    return [*groups, unusable] if unusable else groups


def follows(instance: Instance, geometry: Geometry) -> bool:
    """Return whether an image has the position of the next slice at an end of a grid, by a tenth of their distance."""
    if instance.position is None:
        return False
    step, origin = geometry.affine[:3, 2], geometry.affine[:3, 3]
    position = np.array([-1.0, -1.0, 1.0]) * instance.position  # to RAS+
    ends = (origin - step, origin + geometry.shape[2] * step)
    allowed = max(GRID_TOLERANCE * float(np.linalg.norm(step)), ROUNDING_MM)
    return any(np.linalg.norm(position - end) <= allowed for end in ends)


def _stack(instances: Sequence[Instance], minimum_slices: int) -> Stack:
    few = _too_few(len(instances), minimum_slices)
    if issues := _uneven(instances):
        return Stack(tuple(instances), None, (*issues, *few))
    first = instances[0]
    rows_cols = plane_directions(first.orientation or ())
    assert rows_cols is not None  # checked by _uneven
    assert first.pixel_spacing is not None
    across, down = rows_cols
    normal = np.cross(across, down)
    positions = np.array([instance.position for instance in instances])
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    ordered = tuple(instances[i] for i in order)
    positions, heights = positions[order], heights[order]
    distinct = np.concatenate([[True], np.diff(heights) > SAME_MM])
    exclusions = [
        *_duplicates(ordered, distinct),
        *_tilt(positions[distinct], heights[distinct], normal, min(first.pixel_spacing)),
        *_gaps(heights[distinct]),
        *_too_few(int(distinct.sum()), minimum_slices),
    ]
    if exclusions or len(instances) < 2:
        return Stack(ordered, None, tuple(exclusions))
    affine = np.eye(4)
    affine[:3, 0] = across * first.pixel_spacing[1]  # PixelSpacing: distance of rows, then of columns
    affine[:3, 1] = down * first.pixel_spacing[0]
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(instances) - 1)
    affine[:3, 3] = positions[0]
    affine[:2] = 0.0 - affine[:2]  # from DICOM's world (left, posterior) to right, anterior; no -0
    return Stack(ordered, Geometry((first.columns, first.rows, len(instances)), affine), (), _jitter(heights))


def plane_directions(orientation: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return unit vectors of growing column and row index; None if the orientation is not valid."""
    if len(orientation) != 6:
        return None
    across, down = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(across @ down)) > 10 * COSINE_TOLERANCE:
        return None
    across = across / lengths[0]
    down = down - (down @ across) * across
    return across, down / np.linalg.norm(down)


def _uneven(instances: Sequence[Instance]) -> list[Reason]:
    """Return the reasons why the slices have no common plane and matrix."""
    wrong = [fields for instance in instances if (fields := _unusable(instance))]
    if wrong:
        named = ", ".join(dict.fromkeys(keyword for fields in wrong for keyword in fields))
        message = f"{named} missing or not valid in {len(wrong)} of {len(instances)} slices"
        return [Reason(NO_GEOMETRY, message, CORRECT)]
    exclusions = []
    first = instances[0]
    if turned := sum(not _parallel(first, instance) for instance in instances):
        message = f"ImageOrientationPatient differs in {turned} of {len(instances)} slices"
        exclusions.append(Reason(MIXED_ORIENTATION, message))
    if other := sum(not _same_matrix(first, instance) for instance in instances):
        message = f"matrix or PixelSpacing differs in {other} of {len(instances)} slices"
        exclusions.append(Reason(MIXED_MATRIX, message))
    return exclusions


def _unusable(instance: Instance) -> list[str]:
    """Return the fields that are not plausible: a position within 1 km, pixels between 1 µm and 1 m."""
    position, spacing = instance.position, instance.pixel_spacing
    checks = {
        "ImagePositionPatient": position and max(map(abs, position)) < 1e6,
        "ImageOrientationPatient": plane_directions(instance.orientation or ()) is not None,
        "PixelSpacing": spacing and 1e-3 < min(spacing) <= max(spacing) < 1e3,
        "Rows": 0 < instance.rows < 1 << 16,
        "Columns": 0 < instance.columns < 1 << 16 and instance.rows * instance.columns <= PIXEL_LIMIT,
    }
    return [keyword for keyword, is_plausible in checks.items() if not is_plausible]


def _parallel(first: Instance, second: Instance) -> bool:
    assert first.orientation is not None  # of usable instances
    assert second.orientation is not None
    return all(abs(a - b) <= COSINE_TOLERANCE for a, b in zip(first.orientation, second.orientation, strict=True))


def _same_matrix(first: Instance, second: Instance) -> bool:
    assert first.pixel_spacing is not None  # of usable instances
    assert second.pixel_spacing is not None
    pairs = zip(first.pixel_spacing, second.pixel_spacing, strict=True)
    same_pixels = all(abs(b / a - 1) <= SPACING_TOLERANCE for a, b in pairs)
    return same_pixels and (first.rows, first.columns) == (second.rows, second.columns)


def _is_stray(instance: Instance, slices: Stack) -> bool:
    """Return whether an image is no slice of a complete stack: it is not parallel to it, or within its extent.

    An image at the next position of the stack, or any parallel one beyond its ends, may be a slice with a bad header.
    """
    assert slices.geometry is not None
    first, last = slices.instances[0], slices.instances[-1]
    if _unusable(instance) or follows(instance, slices.geometry):
        return False
    if not _parallel(first, instance):
        return True
    directions = plane_directions(first.orientation or ())
    assert directions is not None  # of usable instances
    start, height, end = (np.cross(*directions) @ np.array(i.position) for i in (first, instance, last))
    return bool(start <= height <= end)


def _too_few(slices: int, minimum: int) -> list[Reason]:
    needed = max(minimum, 2)  # one slice has no spacing
    if slices >= needed:
        return []
    hint = f"give minimum_slices={slices} if the series should be used" if slices > 1 else ""
    return [Reason(TOO_FEW, f"{counted(slices, 'slice')}, expected at least {needed}", hint)]


def _duplicates(ordered: Sequence[Instance], distinct: NDArray[np.bool_]) -> list[Reason]:
    number = int((~distinct).sum())
    if not number:
        return []
    pairs = [(ordered[i - 1], ordered[i]) for i in np.flatnonzero(~distinct).tolist()]
    hint = ""
    if any(any(x and y and x != y for x, y in zip(a.acquisition, b.acquisition, strict=True)) for a, b in pairs):
        hint = "; acquisition numbers or times differ, which suggests two phases: export each as its own series"
    message = f"another slice has the same ImagePositionPatient as {number} of {len(ordered)} slices{hint}"
    return [Reason(DUPLICATE, message)]


def _tilt(
    positions: NDArray[np.float64], heights: NDArray[np.float64], normal: NDArray[np.float64], pixel_mm: float
) -> list[Reason]:
    """Return the reason if slices are shifted within their plane by more than a tenth of a pixel."""
    if len(heights) < 2:
        return []
    shifts = positions - positions[0] - np.outer(heights - heights[0], normal)
    allowed = max(GRID_TOLERANCE * pixel_mm, ROUNDING_MM)
    if np.linalg.norm(shifts, axis=1).max() <= allowed:
        return []
    slope = shifts[-1] / (heights[-1] - heights[0])
    if np.linalg.norm(shifts - np.outer(heights - heights[0], slope), axis=1).max() > 2 * allowed:
        return [Reason(IRREGULAR, f"slices are shifted within their plane, by up to {_largest(shifts)}")]
    angle = math.degrees(math.atan(float(np.linalg.norm(slope))))
    message = f"gantry tilt of {angle:.1f} degrees: slices are shifted against their normal"
    return [Reason(TILT, f"{message}, by up to {_largest(shifts)}")]


def _largest(shifts: NDArray[np.float64]) -> str:
    return f"{np.linalg.norm(shifts, axis=1).max():.1f} mm"


def _jitter(heights: NDArray[np.float64]) -> tuple[Reason, ...]:
    """Return the warning if slices are accepted that are off their even position by more than rounding."""
    off = float(abs(heights - np.linspace(heights[0], heights[-1], len(heights))).max())
    if off <= ROUNDING_MM:
        return ()
    message = f"ImagePositionPatient of slices is up to {off:.2g} mm off an even spacing; the grid is even"
    return (Reason(JITTER, message),)


def _gaps(heights: NDArray[np.float64]) -> list[Reason]:
    """Return the reason if slices deviate from an even spacing by more than a tenth of it.

    Positions and not distances are compared, so that rounding errors do not add up.
    """
    if len(heights) < 3:
        return []
    expected = np.linspace(heights[0], heights[-1], len(heights))
    steps = np.diff(heights)
    usual = float(np.median(steps))
    allowed = max(GRID_TOLERANCE * usual, ROUNDING_MM)
    if abs(heights - expected).max() <= allowed:
        return []
    times = np.maximum(np.rint(steps / usual), 1)
    wrong = abs(steps - times * usual) > allowed
    if wrong.any():
        message = f"distances between slices are irregular in {int(wrong.sum())} of {len(steps)} places"
        message = f"{message} (ImagePositionPatient)"
        return [Reason(IRREGULAR, f"{message}: {steps.min():.2f} to {steps.max():.2f} mm, median {usual:.2f} mm")]
    if not (times > 1).any():
        return [Reason(IRREGULAR, f"distances between slices vary from {steps.min():.2f} to {steps.max():.2f} mm")]
    holes, missing = int((times > 1).sum()), int((times - 1).sum())
    message = f"positions show {counted(missing, 'missing slice')} in {counted(holes, 'gap')}"
    return [Reason(MISSING, f"{message}; other slices are {usual:.2f} mm apart")]
