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
from liverspleen.cohort.findings.labels import density_issues, shape_issues
from liverspleen.cohort.findings.organ import Organ
from liverspleen.cohort.findings.scan import ScanSummary
from liverspleen.cohort.manifest import Case
from liverspleen.errors import Issue
from liverspleen.imaging.volume import CTVolume
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
    issues, judged = list(files.issues), files.judged
    facts: dict[str, Any] = {}
    voxels_sha256 = labels_sha256 = None
    if files.ct is not None and judged is not None:
        grid_issues = geometry_issues(files.ct.geometry, slice_thickness_mm=case.slice_thickness_mm)
        issues += _located(case, case.image, grid_issues)
        issues += (issue for issue in judged.issues if issue.severity == "note")
        voxels_sha256 = sha256_of_array(files.ct.hu)
        facts |= _scan_facts(files.ct, judged.scan, voxels_sha256)
    organs: dict[Structure, Organ] = {}
    if files.label is not None:
        on_grid = not any(issue.code in _OFF_GRID for issue in issues)
        organs = find_organs(files.label, case.labelled_structures)
        scan = judged.scan if judged is not None and on_grid else None
        has_hu = judged is not None and judged.has_hu
        issues += _located(case, case.label, _label_issues(case, files, scan, organs, has_hu=has_hu))
        facts["volume_cm3"] = {organ.key: round(found.volume_cm3, 4) for organ, found in organs.items()}
    if organs and files.label is not None:
        facts["labels_sha256"] = labels_sha256 = sha256_of_array(files.label.labels)
    return Examination(tuple(issues), facts, voxels_sha256, labels_sha256)


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


def _located(case: Case, file: Path | None, issues: Iterable[Issue]) -> list[Issue]:
    return [replace(issue, case_id=case.case_id, file=file) for issue in issues]


def _scan_facts(ct: CTVolume, scan: ScanSummary, voxels_sha256: str) -> dict[str, Any]:
    cumulative = np.cumsum(scan.histogram)
    percentiles = np.searchsorted(cumulative, np.array([0.01, 0.5, 0.99]) * cumulative[-1]) - scan.histogram.size // 2
    return {
        "shape": list(ct.geometry.canonical_shape),
        "spacing_mm": [round(edge, 6) for edge in ct.geometry.spacing_mm],
        "axis_codes": "".join(ct.geometry.axis_codes),
        "lowest_hu": int(ct.hu.min()),
        "highest_hu": int(ct.hu.max()),
        "hu_percentiles_1_50_99": percentiles.tolist(),
        "voxels_sha256": voxels_sha256,
    }
