"""Findings about grids: spacing, shear, tilt, few slices, axis order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from liverspleen.errors import Issue
from liverspleen.imaging.geometry import Geometry

_SHEAR_DEG = 0.1  # rounded cosines reach 0.01 degrees; 0.1 moves a corner by half a millimetre over 300 mm
_TILT_DEG = 10.0  # patients are rarely rotated by more
_FIELD_MM = (50.0, 1000.0)  # smaller than the trunk of a newborn, wider than the bore of a scanner (at most 900 mm)
_SPACING_MM = (0.1, 20.0)  # of slices; clinical CT has 0.3 to 10 mm
_SQUARE_FRACTION = 0.01  # CT is reconstructed on square pixels
_FEW_SLICES = 5  # with fewer, a network of three slices has no inner slice; also the default of DICOM converters
_SLAB_MM = 100.0  # livers are 130 to 200 mm high: a shorter scan cannot contain one
_THICKNESS_FRACTION = 0.1


def geometry_issues(grid: Geometry, *, slice_thickness_mm: float | None = None) -> Iterator[Issue]:
    """Yield LS-GEO-009 to 013, 015 and 016 about the grid of a CT; `slice_thickness_mm` is that of the cohort."""
    yield from _axis_issues(grid)
    yield from _spacing_issues(grid)
    slices, row_mm, column_mm = grid.spacing_mm
    if max(row_mm, column_mm) > (1 + _SQUARE_FRACTION) * min(row_mm, column_mm):
        message = f"pixels are {row_mm:.4g} x {column_mm:.4g} mm, expected square pixels"
        yield _warning("LS-GEO-011", message, "check whether the image was resampled, or its slices are not axial")
    count = grid.canonical_shape[0]
    if count < _FEW_SLICES:
        message = f"number of slices is {count}, expected at least {_FEW_SLICES}"
        yield _warning("LS-GEO-012", message, "check whether slices are missing, or exclude the case")
    elif count * slices < _SLAB_MM:
        message = f"scan is {count * slices:.4g} mm high, expected at least {_SLAB_MM:g} mm for a liver"
        yield _note("LS-GEO-013", message, "treat its volumes as those of a slab")
    if slice_thickness_mm and abs(slices / slice_thickness_mm - 1) > _THICKNESS_FRACTION:
        message = (
            f"distance between slices is {slices:.4g} mm, slice thickness in the cohort {slice_thickness_mm:.4g} mm"
        )
        yield _note("LS-GEO-015", message, "check both values; volumes use the distance")


def form_issues(grid: Geometry) -> Iterator[Issue]:
    """Yield the warning LS-GEO-020 if only one of sform and qform of the header is valid."""
    if grid.invalid_form:
        other = "qform" if grid.invalid_form == "sform" else "sform"
        message = f"the {grid.invalid_form} of the header is not valid, so the {other} gives the orientation"
        yield _warning("LS-GEO-020", message, f"set the code of the {grid.invalid_form} to 0 if the {other} is right")


def label_grid_issues(label: Geometry, ct: Geometry) -> Iterator[Issue]:
    """Yield LS-GEO-014 if label map and CT are stored in different axis orders, which some tools ignore."""
    if label.axis_codes != ct.axis_codes:
        message = f"label map is stored as {''.join(label.axis_codes)}, its CT as {''.join(ct.axis_codes)}"
        yield _note("LS-GEO-014", message, "take the axis order into account in other tools")


def _axis_issues(grid: Geometry) -> Iterator[Issue]:
    axes = grid.canonical_affine[:3, :3] / np.linalg.norm(grid.canonical_affine[:3, :3], axis=0)
    skew = max(abs(90 - _angle_deg(axes[:, i], axes[:, j])) for i, j in combinations(range(3), 2))
    if skew > _SHEAR_DEG:
        message = f"axes of the grid deviate by up to {skew:.3g} degrees from right angles (gantry tilt)"
        yield _warning("LS-GEO-009", message, "resample the image to a rectangular grid")
    world = np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]])  # slice to superior, row to posterior, column to the left
    tilt = max(_angle_deg(axes[:, i], world[:, i]) for i in range(3))
    if tilt > _TILT_DEG:
        message = f"axes of the grid are rotated by {tilt:.3g} degrees against those of the patient"
        yield _note("LS-GEO-016", message, "check that the slices are meant to be axial")


def _spacing_issues(grid: Geometry) -> Iterator[Issue]:
    spacing, shape = grid.spacing_mm, grid.canonical_shape
    field = [n * edge for n, edge in zip(shape[1:], spacing[1:], strict=True)]
    low, high = _FIELD_MM
    thin, thick = _SPACING_MM
    if not (low <= min(field) and max(field) <= high):
        message = f"field of view is {field[0]:.4g} x {field[1]:.4g} mm, expected {low:g} to {high:g} mm"
        yield _warning("LS-GEO-010", message, "check that the spacing is in mm")
    elif not thin <= spacing[0] <= thick:
        message = f"distance between slices is {spacing[0]:.4g} mm, expected {thin:g} to {thick:g} mm"
        yield _warning("LS-GEO-010", message, "check that the spacing is in mm")


def _angle_deg(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(first @ second, -1, 1))))


def _warning(code: str, message: str, hint: str) -> Issue:
    return Issue(code, message, hint, severity="warning")


def _note(code: str, message: str, hint: str) -> Issue:
    return Issue(code, message, hint, severity="note")
