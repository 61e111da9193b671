"""Hints can be followed: after the change of a file or an option that a hint asks for, its issue no longer occurs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import pytest
from hinting import HINTS, Followed, follow
from hints_of_images import REPAIRS
from seeded import Draft, drafts

from liverspleen.cohort import read_cohort, write_cohort
from liverspleen.cohort.findings import cohort_issues, examine_case
from liverspleen.errors import Issue
from liverspleen.imaging import read_ct, read_label_map

OTHER_CASES = {"LS-DUP-001": "twin-of-another", "LS-DUP-003": "one_patient_of_two_ages"}
"""The case of the issue, if it is not the one with the defect."""


def found_in(folder: Path, written: Sequence[Draft]) -> Mapping[str, list[Issue]]:
    """Return what `check` finds, by case."""
    folder.mkdir()
    write_cohort(folder / "cohort.csv", [row for draft in written for row in draft.write(folder)])
    cohort = read_cohort(folder / "cohort.csv")
    examinations = [examine_case(case) for case in cohort.cases]
    issues = [*cohort.issues, *(issue for one in examinations for issue in one.issues)]
    by_case = defaultdict(list)
    for issue in [*issues, *cohort_issues(cohort.cases, examinations)]:
        by_case[issue.case_id or ""].append(issue)
    return by_case


@pytest.fixture(scope="module")
def checked(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, list[Issue]], ...]:
    """Return the findings of all defects by case, before and after the hints were followed."""
    sound = read_cohort(phantoms).cases[0]
    ct, label = read_ct(sound.image), read_label_map(sound.label)
    repairs = {defect: repair for defect, _, repair in REPAIRS.values()}
    provoked, repaired = [], []
    for defect, draft in drafts(ct.hu, label.labels, ct.geometry.affine):
        if defect is None or defect.name in repairs:
            provoked.append(deepcopy(draft))
            repaired.append(draft)
        if defect is not None and defect.name in repairs:
            repairs[defect.name](draft)
    folder = tmp_path_factory.mktemp("hints")
    return found_in(folder / "before", provoked), found_in(folder / "after", repaired)


@pytest.mark.parametrize("code", REPAIRS)
def test_a_hint_about_an_image_or_label_map_can_be_followed(
    code: str, checked: tuple[Mapping[str, list[Issue]], ...]
) -> None:
    defect, text, _ = REPAIRS[code]
    before, after = checked
    case_id = defect if any(issue.code == code for issue in before[defect]) else OTHER_CASES[code]
    (issue, *_) = [issue for issue in before[case_id] if issue.code == code]
    assert text in issue.hint
    assert code not in {issue.code for issue in after[case_id]}
    assert not [str(issue) for issue in after[case_id] if issue.severity != "note"]


@pytest.mark.parametrize("followed", HINTS, ids=lambda followed: f"{followed.code}-{followed.entry.__name__}")
def test_a_hint_can_be_followed(followed: Followed, tmp_path: Path) -> None:
    issue, after = follow(followed, tmp_path)
    assert followed.hint in issue.hint
    assert followed.code not in {found.code for found in after}
    assert not [str(found) for found in after if found.severity == "error"]
