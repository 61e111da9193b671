"""Cases that are the same, or contradict each other: found by what the examinations of all cases brought back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from liverspleen.cohort.findings.examination import Examination
from liverspleen.cohort.manifest import Case
from liverspleen.errors import Issue

_AGES_YEARS = 25.0  # two examinations of one patient this far apart would span most of the history of CT


def cohort_issues(cases: Sequence[Case], examinations: Sequence[Examination]) -> Iterator[Issue]:
    """LS-DUP-001 to 004: between the cases of a cohort, in the order of its rows."""
    pairs = list(zip(cases, examinations, strict=True))
    yield from _same_voxels(pairs)
    yield from _same_labels(pairs)
    yield from _contradictions(cases)


def _same_voxels(pairs: Sequence[tuple[Case, Examination]]) -> Iterator[Issue]:
    first: dict[str, Case] = {}
    for case, found in pairs:
        if found.voxels_sha256 is None:
            continue
        twin = first.setdefault(found.voxels_sha256, case)
        if twin is case:
            continue
        same = twin.patient_id == case.patient_id
        whose = "of the same patient" if same else f"of patient '{twin.patient_id}', this is '{case.patient_id}'"
        message = f"CT has the voxels of case '{twin.case_id}' {whose}"
        hint = "keep one of the two rows" if same else "keep one of the two rows, or bring the right image"
        yield Issue("LS-DUP-001", message, hint, case.case_id, case.image, "warning" if same else "error")


def _same_labels(pairs: Sequence[tuple[Case, Examination]]) -> Iterator[Issue]:
    first: dict[str, tuple[Case, Examination]] = {}
    for case, found in pairs:
        if found.labels_sha256 is None:
            continue
        twin, earlier = first.setdefault(found.labels_sha256, (case, found))
        known = earlier.voxels_sha256 is not None and found.voxels_sha256 is not None
        if twin is case or not known or earlier.voxels_sha256 == found.voxels_sha256:
            continue
        message = f"label map is that of case '{twin.case_id}', the CT is another one"
        yield Issue("LS-DUP-002", message, "bring the label map of this CT", case.case_id, case.label, "warning")


def _contradictions(cases: Sequence[Case]) -> Iterator[Issue]:
    patients: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        patients[case.patient_id].append(case)
    for patient, own in patients.items():
        sexes = sorted({case.sex for case in own if case.sex})
        if len({sex.casefold() for sex in sexes}) > 1:
            message = f"patient '{patient}' has the sex {' and '.join(sexes)}"
            yield Issue("LS-DUP-003", message, "correct the cohort", own[-1].case_id, severity="note")
        ages = [case.age for case in own if case.age is not None]
        if ages and max(ages) - min(ages) > _AGES_YEARS:
            message = f"patient '{patient}' is {min(ages):g} and {max(ages):g} years old"
            yield Issue("LS-DUP-004", message, "correct the cohort", own[-1].case_id, severity="note")
