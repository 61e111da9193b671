"""Checks of the files of a case against its row in the cohort, for all verbs that read cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from liverspleen.cohort.findings.ct import JudgedCT, judge_ct
from liverspleen.cohort.findings.geometry import form_issues
from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.files import read_ct, read_grid, read_label_map
from liverspleen.imaging.geometry import Geometry, corner_displacement_mm, grid_tolerance_mm, same_grid
from liverspleen.imaging.lattice import placed_on
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure


@dataclass(frozen=True)
class CaseFiles:
    """CT, label map and findings of a case; None for a file that is absent or cannot be read.

    `judged` has the findings about the CT; `issues` are all errors and warnings.
    """

    ct: CTVolume | None
    label: LabelMap | None
    issues: tuple[Issue, ...]
    judged: JudgedCT | None = None

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """The warnings among the issues."""
        return tuple(issue for issue in self.issues if issue.severity == "warning")


def read_files(case: Case) -> CaseFiles:
    """Read the CT and the reference label map of a case, and check them.

    Errors: a file that `read_ct` or `read_label_map` rejects; a CT that `judge_ct` rejects; LS-GEO-003 label map of
    another shape than its CT, and no box of its grid, LS-GEO-004 on another grid, LS-LAB-002 voxels of a structure that
    is not in `labelled_structures`. Warnings: those of `judge_ct` and `on_grid`; LS-LAB-003 labelled organ without a
    voxel, LS-LAB-004 labelled spleen with `spleen_absent`. Notes about a CT are in `judged` only: they are for `check`.
    """
    issues: list[Issue] = []
    ct = judged = None
    try:
        ct = read_ct(case.image, case_id=case.case_id)
        judged = judge_ct(ct, case_id=case.case_id, file=case.image)
        issues += (issue for issue in judged.issues if issue.severity != "note")
    except InputError as rejected:
        issues += rejected.issues
    label, found = _examine_label(case, None if ct is None else ct.geometry)
    return CaseFiles(ct, label, (*issues, *found), judged)


def accepted_files(case: Case) -> CaseFiles:
    """Read the files of a case as `read_files`, with their CT.

    Raises:
        InputError: all errors of both files; LS-LAB-019 the labels of liver and spleen are exchanged.
    """
    files = read_files(case)
    if errors := [issue for issue in files.issues if issue.severity == "error"]:
        raise InputError(errors)
    from liverspleen.cohort.findings.orientation import exchanged_issue  # its package imports this module

    if files.label is not None and (exchanged := exchanged_issue(files.label)):
        raise InputError(replace(exchanged, case_id=case.case_id, file=case.label))
    return files


def load_case(case: Case) -> tuple[CTVolume, LabelMap | None]:
    """Read the CT and the reference label map of a case; the label map is None if the case has none.

    Both have the same grid, and the labels agree with the cohort.

    Raises:
        InputError: as `accepted_files`.
    """
    files = accepted_files(case)
    assert files.ct is not None
    return files.ct, files.label


def load_reference(case: Case) -> tuple[Geometry, LabelMap | None]:
    """Read the grid of a CT and its reference label map, checked as in `load_case`, without the voxels of the CT.

    Raises:
        InputError: all errors of the label map and of the CT's header.
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


def on_grid(
    case_id: str, label_map: LabelMap, grid: Geometry, *, file: Path | None, against: str
) -> tuple[LabelMap, tuple[Issue, ...]]:
    """Return the label map in `file` on `grid`, the grid of `against`, and what is to be reported.

    A label map on a smaller or larger box of the same voxels is padded or cut (note LS-GEO-021), without resampling;
    voxels that are cut off are the warning LS-GEO-022. A grid of an orientation with one valid form only is the warning
    LS-GEO-020. Any other grid is the error LS-GEO-003 or LS-GEO-004; the label map then keeps its grid.
    """
    found = label_map.geometry
    notes = tuple(replace(issue, case_id=case_id, file=file) for issue in form_issues(found))
    if found.canonical_shape == grid.canonical_shape:
        return label_map, (*notes, *grid_issues(case_id, found, grid, file=file, against=against))
    placed = placed_on(grid, label_map)
    if placed is None or (placed.lost_voxels and not placed.label_map.labels.any()):
        return label_map, (*notes, *grid_issues(case_id, found, grid, file=file, against=against))
    message = f"label map is on a box of shape {found.canonical_shape} of the grid of {against} {grid.canonical_shape}"
    hint = "no action is needed: it was padded or cut to that grid, without resampling"
    moved = Issue("LS-GEO-021", message, hint, case_id, file, "note")
    if not placed.lost_voxels:
        return placed.label_map, (*notes, moved)
    message = f"{placed.lost_voxels} labelled voxels are outside of the grid of {against}, and are not used"
    hint = f"check that the label map belongs to {against}"
    return placed.label_map, (*notes, moved, Issue("LS-GEO-022", message, hint, case_id, file, "warning"))


def grid_issues(
    case_id: str, found: Geometry, expected: Geometry, *, file: Path | None, against: str, kind: str = "label map"
) -> Iterator[Issue]:
    """Yield LS-GEO-003 or LS-GEO-004 if the `kind` in `file` is not on the `expected` grid, that of `against`."""
    if found.canonical_shape != expected.canonical_shape:
        message = (
            f"{kind} has shape {found.canonical_shape}, expected {expected.canonical_shape} "
            f"(slice, row, column) as {against}"
        )
        yield Issue("LS-GEO-003", message, f"resample the {kind}, or correct the path", case_id, file)
    elif not same_grid(expected, found):
        distance = corner_displacement_mm(expected, found)
        message = (
            f"corners of the {kind} are up to {distance:.3g} mm from those of {against}, "
            f"expected at most {grid_tolerance_mm(expected):.3g} mm (spacing {_mm(found)} and {_mm(expected)})"
        )
        yield Issue("LS-GEO-004", message, f"resample the {kind}, or correct its header", case_id, file)


def _examine_label(case: Case, grid: Geometry | None) -> tuple[LabelMap | None, list[Issue]]:
    if case.label is None:
        return None, []
    try:
        label = read_label_map(case.label, case_id=case.case_id)
    except InputError as rejected:
        return None, [*rejected.issues]
    issues = [*_structure_issues(case, label)]
    if grid is not None:
        label, found = on_grid(case.case_id, label, grid, file=case.label, against="its CT")
        issues += found
    return label, issues


def _structure_issues(case: Case, label: LabelMap) -> Iterator[Issue]:
    def issue(severity: Literal["error", "warning"], code: str, message: str, hint: str) -> Issue:
        return Issue(code, message, hint, case.case_id, case.label, severity)

    for organ in ORGANS:
        voxels = label.count(organ)
        missing_spleen = organ is Structure.SPLEEN and case.spleen_absent
        if voxels and organ not in case.labelled_structures:
            message = f"label map has {voxels} voxels of {organ.key}, which labelled_structures does not list"
            hint = "add it to labelled_structures, or remove it from the label map"
            yield issue("error", "LS-LAB-002", message, hint)
        elif voxels and missing_spleen:
            message = f"label map has {voxels} voxels of {organ.key}, but spleen_absent is true"
            yield issue("warning", "LS-LAB-004", message, "correct the label map or spleen_absent")
        elif not voxels and organ in case.labelled_structures and not missing_spleen:
            message = f"label map has no voxel of {organ.key}, which counts as labelled"
            hint = "remove it from labelled_structures if it was not annotated"
            yield issue("warning", "LS-LAB-003", message, hint)


def _mm(geometry: Geometry) -> str:
    return "(" + ", ".join(f"{edge:.4g}" for edge in geometry.spacing_mm) + ") mm"
