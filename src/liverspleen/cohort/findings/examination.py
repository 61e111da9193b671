"""Examination of one case: errors of its files, findings, and measured facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from liverspleen.cohort.checks import CaseFiles, read_files
from liverspleen.cohort.findings.anatomy import find_organs, position_issues
from liverspleen.cohort.findings.geometry import geometry_issues, label_grid_issues
from liverspleen.cohort.findings.intensities import SCALE_CODES, intensity_issues
from liverspleen.cohort.findings.labels import density_issues, shape_issues
from liverspleen.cohort.findings.organ import Organ
from liverspleen.cohort.findings.orientation import direction_issues
from liverspleen.cohort.findings.scan import ScanSummary, summarise
from liverspleen.cohort.manifest import Case
from liverspleen.errors import Issue
from liverspleen.organs import Structure
from liverspleen.storage import sha256_of_array

_OFF_GRID = frozenset({"LS-GEO-003", "LS-GEO-004"})


@dataclass(frozen=True)
class Examination:
    """Result of `examine_case`: a few kilobytes, independent of the size of the case.

    `facts` are values measured on the files. The hashes are those of the decoded voxels and labels in the order (slice,
    row, column); None if there is no image or label map, or if the label map is empty.
    """

    issues: tuple[Issue, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    voxels_sha256: str | None = None
    labels_sha256: str | None = None


def examine_case(case: Case) -> Examination:
    """Read a case and return all findings; no voxels are kept."""
    try:
        return _examine(case, read_files(case))
    except MemoryError:
        hint = "examine the case on a machine with more memory"
        return Examination((Issue("LS-IMG-020", "case does not fit into memory", hint, case.case_id, case.image),))


def _examine(case: Case, files: CaseFiles) -> Examination:
    issues = list(files.issues)
    facts: dict[str, Any] = {}
    scan = None
    if files.ct is not None:
        scan = summarise(files.ct)
        issues += _located(case, case.image, _scan_issues(case, files, scan))
        facts |= _scan_facts(files, scan)
    organs: dict[Structure, Organ] = {}
    if files.label is not None:
        on_grid = not any(issue.code in _OFF_GRID for issue in issues)
        organs = find_organs(files.label, case.labelled_structures)
        label_issues = _label_issues(case, files, scan if on_grid else None, organs, has_hu=not _lacks_hu(issues))
        issues += _located(case, case.label, label_issues)
        facts["volume_cm3"] = {organ.key: round(found.volume_cm3, 4) for organ, found in organs.items()}
    if any(issue.code in SCALE_CODES for issue in issues):  # more specific than LS-IMG-011
        issues = [issue for issue in issues if issue.code != "LS-IMG-011"]
    labels_sha256 = None
    if organs and files.label is not None:
        facts["labels_sha256"] = labels_sha256 = sha256_of_array(files.label.labels)
    return Examination(tuple(issues), facts, scan.voxels_sha256 if scan else None, labels_sha256)


def _scan_issues(case: Case, files: CaseFiles, scan: ScanSummary) -> Iterator[Issue]:
    assert files.ct is not None
    yield from geometry_issues(files.ct.geometry, slice_thickness_mm=case.slice_thickness_mm)
    found = list(intensity_issues(scan))
    yield from found
    if not _lacks_hu(found):
        yield from direction_issues(scan)


def _label_issues(
    case: Case, files: CaseFiles, scan: ScanSummary | None, organs: Mapping[Structure, Organ], *, has_hu: bool
) -> Iterator[Issue]:
    """Yield findings of the label map, and of both files if `scan` is given; it must be on the grid of the labels."""
    assert files.label is not None
    for organ in organs.values():
        yield from shape_issues(organ, age=case.age)
    yield from position_issues(files.label, organs, scan=scan if has_hu else None)
    if scan is not None and files.ct is not None:
        yield from label_grid_issues(files.label.geometry, files.ct.geometry)
        for organ in organs.values() if has_hu else ():
            yield from density_issues(organ, files.ct.hu)


def _lacks_hu(issues: Iterable[Issue]) -> bool:
    """Whether densities cannot be examined, because the values are not HU."""
    return any(f.code == "LS-IMG-010" or (f.code in SCALE_CODES and f.severity == "error") for f in issues)


def _located(case: Case, file: Path | None, issues: Iterable[Issue]) -> list[Issue]:
    return [replace(issue, case_id=case.case_id, file=file) for issue in issues]


def _scan_facts(files: CaseFiles, scan: ScanSummary) -> dict[str, Any]:
    assert files.ct is not None
    grid = files.ct.geometry
    cumulative = np.cumsum(scan.histogram)
    percentiles = np.searchsorted(cumulative, np.array([0.01, 0.5, 0.99]) * cumulative[-1]) - scan.histogram.size // 2
    return {
        "shape": list(grid.canonical_shape),
        "spacing_mm": [round(edge, 6) for edge in grid.spacing_mm],
        "axis_codes": "".join(grid.axis_codes),
        "lowest_hu": scan.ends[0],
        "highest_hu": scan.ends[1],
        "hu_percentiles_1_50_99": percentiles.tolist(),
        "voxels_sha256": scan.voxels_sha256,
    }
