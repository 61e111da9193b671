"""What a case's files hold against what its manifest row says: one path for checking, preparing and measuring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.geometry import Geometry, corner_displacement_mm, grid_tolerance_mm, same_grid
from liverspleen.imaging.nifti import read_ct, read_grid, read_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure

# Not limits of anatomy: what an image in HU cannot look like. Padding down to -3024 is common, metal reaches 30000.
_LOWEST_HU = -4096
_AIR_HU = -500  # some voxel of any CT of the trunk is air, lung or padding
_TISSUE_HU = 0  # and some is soft tissue


@dataclass(frozen=True)
class CaseFiles:
    """What could be read of a case, and every issue of the files; None for a file that is absent or rejected."""

    ct: CTVolume | None
    label: LabelMap | None
    issues: tuple[Issue, ...]


def read_files(case: Case) -> CaseFiles:
    """CT and reference label map of a case, each if it can be read, with what is wrong or doubtful in them.

    Errors: a file that `read_ct` or `read_label_map` rejects; LS-GEO-003 label map of another shape than its CT,
    LS-GEO-004 on another grid, LS-LAB-002 voxels of a structure that the manifest does not call labelled.
    Warnings: LS-LAB-003 labelled organ without a voxel, LS-LAB-004 spleen labelled though the manifest calls it absent,
    LS-IMG-009 values clipped to int16, LS-IMG-010 constant image, LS-IMG-011 values that no CT in HU has.
    """
    issues: list[Issue] = []
    ct = None
    try:
        ct = read_ct(case.image, case_id=case.case_id)
        issues += _intensity_issues(case, ct)
    except InputError as rejected:
        issues += rejected.issues
    label, found = _examine_label(case, None if ct is None else ct.geometry)
    return CaseFiles(ct, label, (*issues, *found))


def load_case(case: Case) -> tuple[CTVolume, LabelMap | None]:
    """The CT and the reference label map of a case (None if it has none), on one grid and with plausible labels.

    Raises:
        InputError: with all errors of both files; see `read_files`.
    """
    files = read_files(case)
    if errors := [issue for issue in files.issues if issue.severity == "error"]:
        raise InputError(errors)
    assert files.ct is not None
    return files.ct, files.label


def load_reference(case: Case) -> tuple[Geometry, LabelMap | None]:
    """The grid of a case's CT and its reference label map, checked as in `load_case`; the CT's voxels are not read.

    Raises:
        InputError: with all errors of the label map and of the CT's header.
    """
    issues: list[Issue] = []
    grid = label = None
    try:
        grid = read_grid(case.image, case_id=case.case_id)
    except InputError as rejected:
        issues += rejected.issues
    label, found = _examine_label(case, grid)
    if errors := [issue for issue in [*issues, *found] if issue.severity == "error"]:
        raise InputError(errors)
    assert grid is not None
    return grid, label


def grid_issues(
    case_id: str, label_map: LabelMap, grid: Geometry, *, file: Path | None, against: str
) -> Iterator[Issue]:
    """LS-GEO-003 or LS-GEO-004 if the label map in `file` is not on `grid`, which is that of `against`."""
    found, expected = label_map.geometry, grid
    if found.canonical_shape != expected.canonical_shape:
        message = (
            f"label map has shape {found.canonical_shape}, {against} {expected.canonical_shape} (slice, row, column)"
        )
        yield Issue("LS-GEO-003", message, "resample it or correct the path", case_id, file)
    elif not same_grid(expected, found):
        distance = corner_displacement_mm(expected, found)
        message = (
            f"corners of the label map lie up to {distance:.3g} mm from those of {against}, "
            f"at most {grid_tolerance_mm(expected):.3g} mm expected (spacing {_mm(found)} against {_mm(expected)})"
        )
        yield Issue("LS-GEO-004", message, "resample it or correct its header", case_id, file)


def _examine_label(case: Case, grid: Geometry | None) -> tuple[LabelMap | None, list[Issue]]:
    if case.label is None:
        return None, []
    try:
        label = read_label_map(case.label, case_id=case.case_id)
    except InputError as rejected:
        return None, [*rejected.issues]
    issues = [*_structure_issues(case, label)]
    if grid is not None:
        issues += grid_issues(case.case_id, label, grid, file=case.label, against="its CT")
    return label, issues


def _structure_issues(case: Case, label: LabelMap) -> Iterator[Issue]:
    def issue(severity: Literal["error", "warning"], code: str, message: str, hint: str) -> Issue:
        return Issue(code, message, hint, case.case_id, case.label, severity)

    for organ in ORGANS:
        voxels = label.count(organ)
        missing_spleen = organ is Structure.SPLEEN and case.spleen_absent
        if voxels and organ not in case.labelled_structures:
            message = f"label map has {voxels} voxels of {organ.key}, which labelled_structures does not name"
            yield issue("error", "LS-LAB-002", message, "add it to labelled_structures or clear it from the label map")
        elif voxels and missing_spleen:
            message = f"label map has {voxels} voxels of {organ.key}, though spleen_absent is true"
            yield issue("warning", "LS-LAB-004", message, "correct the label map or spleen_absent")
        elif not voxels and organ in case.labelled_structures and not missing_spleen:
            message = f"label map has no voxel of {organ.key}, which counts as labelled"
            hint = "leave it out of labelled_structures if nobody drew it"
            yield issue("warning", "LS-LAB-003", message, hint)


def _intensity_issues(case: Case, ct: CTVolume) -> Iterator[Issue]:
    def warning(code: str, message: str, hint: str) -> Issue:
        return Issue(code, message, hint, case.case_id, case.image, "warning")

    lowest, highest = int(ct.hu.min()), int(ct.hu.max())
    if ct.clipped_voxels:
        message = f"{ct.clipped_voxels} voxels are beyond 16-bit integers and were set to their ends"
        yield warning("LS-IMG-009", message, "look at the image and its slope and intercept")
    if lowest == highest:
        yield warning("LS-IMG-010", f"all voxels have the value {lowest}", "look whether this is the right file")
    elif lowest < _LOWEST_HU or lowest > _AIR_HU or highest < _TISSUE_HU:
        message = f"values from {lowest} to {highest} are not those of a CT in HU"
        yield warning("LS-IMG-011", message, "look whether slope and intercept were applied")


def _mm(geometry: Geometry) -> str:
    return "(" + ", ".join(f"{edge:.4g}" for edge in geometry.spacing_mm) + ") mm"
