"""Duplicate cases and contradictory cases, found by comparing the examinations of all cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from liverspleen.cohort.findings.examination import Examination
from liverspleen.cohort.manifest import Case
from liverspleen.errors import Issue

_AGES_YEARS = 25.0  # a longer time between two examinations would span most of the history of CT


def cohort_issues(cases: Sequence[Case], examinations: Sequence[Examination]) -> Iterator[Issue]:
    """Yield LS-DUP-001 to 004 about pairs of cases, in the order of the rows of the cohort."""
    pairs = list(zip(cases, examinations, strict=True))
    yield from _same_voxels(pairs)
    yield from _same_labels(pairs)
    yield from _contradictions(cases)


def _same_voxels(pairs: Sequence[tuple[Case, Examination]]) -> Iterator[Issue]:
    first: dict[str, Case] = {}
    for case, found in pairs:
        if found.voxels_sha256 is None:
            continue
        other = first.setdefault(found.voxels_sha256, case)
        if other is case:
            continue
        same = other.patient_id == case.patient_id
        patients = "the same patient" if same else f"another patient ('{other.patient_id}', not '{case.patient_id}')"
        message = f"CT has the same voxels as case '{other.case_id}' of {patients}"
        hint = "keep one of the two rows" if same else "keep one of the two rows, or add the right image"
        yield Issue("LS-DUP-001", message, hint, case.case_id, case.image, "warning" if same else "error")


def _same_labels(pairs: Sequence[tuple[Case, Examination]]) -> Iterator[Issue]:
    first: dict[str, tuple[Case, Examination]] = {}
    for case, found in pairs:
        if found.labels_sha256 is None:
            continue
        other, earlier = first.setdefault(found.labels_sha256, (case, found))
        known = earlier.voxels_sha256 is not None and found.voxels_sha256 is not None
        if other is case or not known or earlier.voxels_sha256 == found.voxels_sha256:
            continue
        message = f"label map is identical to that of case '{other.case_id}', but the CT scans differ"
        yield Issue("LS-DUP-002", message, "add the label map of this CT", case.case_id, case.label, "warning")


def _contradictions(cases: Sequence[Case]) -> Iterator[Issue]:
    patients: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        patients[case.patient_id].append(case)
    for patient, examinations in patients.items():
        last = examinations[-1].case_id
        sexes = sorted({case.sex for case in examinations if case.sex})
        if len({sex.casefold() for sex in sexes}) > 1:
            message = f"patient '{patient}' has different sexes ({', '.join(sexes)})"
            yield Issue("LS-DUP-003", message, "correct the cohort", last, severity="note")
        ages = [case.age for case in examinations if case.age is not None]
        if ages and max(ages) - min(ages) > _AGES_YEARS:
            message = f"patient '{patient}' has ages from {min(ages):g} to {max(ages):g} years"
            yield Issue("LS-DUP-004", message, "correct the cohort", last, severity="note")
