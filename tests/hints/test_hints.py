"""Hints can be followed: after the change of a file or an option that a hint asks for, its issue no longer occurs."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import hints_of_dicom
import hints_of_formats
import hints_of_label_maps
import hints_of_measurements
import hints_of_scans
import hints_of_sources
import hints_of_tables
import hints_of_values
import pytest
from hinting import HINTS, Followed, follow
from hints_of_images import REPAIRS, copied_again
from not_followed import CODES
from seeded import Draft, drafts

import liverspleen
from liverspleen import provenance
from liverspleen.codes import read_areas
from liverspleen.codes.sites import sources
from liverspleen.cohort import read_cohort, write_cohort
from liverspleen.cohort.findings import cohort_issues, examine_case
from liverspleen.config.choices import CONF, groups
from liverspleen.config.config_keys import keys
from liverspleen.config.verbs import SCHEMAS
from liverspleen.errors import Issue
from liverspleen.imaging import read_ct, read_label_map
from liverspleen.phantom.cohort import write_phantom_cohort

MODULES = (
    hints_of_dicom,
    hints_of_formats,
    hints_of_label_maps,
    hints_of_measurements,
    hints_of_scans,
    hints_of_sources,
    hints_of_tables,
    hints_of_values,
)
"""Each registers its entries in `HINTS`."""

OTHER_CASES = {"LS-DUP-001": "twin-of-another", "LS-DUP-003": "one_patient_of_two_ages"}
"""The case of the issue, if it is not the one with the defect."""


def found_in(folder: Path, written: Sequence[Draft]) -> dict[str, list[Issue]]:
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


@pytest.fixture(autouse=True)
def _fast_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records without versions of packages and files without fsync: both take longer than a small case."""
    monkeypatch.setattr(provenance, "versions", dict)
    monkeypatch.setattr(provenance, "git_state", dict)
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, list[Issue]], ...]:
    """Return the findings of all defects by case, before and after the hints were followed."""
    folder = tmp_path_factory.mktemp("hints")
    request = {"development": 1, "test1": 0, "pairs": 0, "seed": 11, "matrix": 64, "thickness_mm": (5.0, 5.0)}
    (sound,) = read_cohort(write_phantom_cohort(folder / "phantom", **request, workers=1)).cases
    ct, label = read_ct(sound.image), read_label_map(sound.label)
    repairs = {defect: repair for defect, _, repair in REPAIRS.values()}
    provoked, repaired = [], []
    for defect, draft in drafts(ct.hu, label.labels, ct.geometry.affine):
        if defect is None or defect.name in repairs:
            provoked.append(deepcopy(draft))
        if defect is None:
            repaired.append(draft)
        elif (repair := repairs.get(defect.name, copied_again)) is not copied_again:
            repair(draft)
            repaired.append(draft)
    after = found_in(folder / "after", repaired)
    copies = {defect: after["sound"] for defect, repair in repairs.items() if repair is copied_again}
    return found_in(folder / "before", provoked), after | copies


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


AREAS = frozenset(
    ["CMP", "COH", "COR", "COV", "DCM", "DUP", "GEO", "IDN", "IMG", "IMP", "LAB", "MEA", "PRD", "REP", "SCN", "SPL"]
)
KEY = re.compile(r"(?<![\w.{/'\"-])([a-z][a-z_.]*)=(?!=)")
ISSUES = re.compile(r"(?i)\b_*(issue|note|finding|warning|invalid)\(|\b(hint|message) *=")
"""Text of a module that makes an issue; the others are not parsed."""


def test_every_input_code_has_an_entry_or_a_reason() -> None:
    """A new code needs an entry in a module `hints_of_...`, or a reason in `not_followed.py`."""
    known = {entry.code for area in read_areas() if area.name in AREAS for entry in area.entries}
    entries = {followed.code for followed in HINTS} | set(REPAIRS)
    assert known - entries - CODES == set()
    assert CODES - known == set()
    assert entries & CODES == set()
    assert len(entries & known) > 150


def test_hints_name_existing_keys() -> None:
    keys_of_verbs = {key.name for schema in SCHEMAS.values() for key in keys(schema)} | {CONF, *groups()}
    hints = [entry.hint.replace("`", " ") for area in read_areas() for entry in area.entries]
    for text in filter(ISSUES.search, sources(Path(liverspleen.__file__).parent).values()):
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call | ast.Assign)]
        for node in calls:
            if is_issue(node):
                hints += [c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
    found = {name for text in hints for name in KEY.findall(text)}
    assert len(found) > 40
    assert found - keys_of_verbs == set()


def is_issue(node: ast.Call | ast.Assign) -> bool:
    """Whether a statement makes an issue, or the text of its message or hint."""
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "").lstrip("_").lower() in {"issue", "note", "finding", "warning", "invalid"}
    return any(getattr(target, "id", "") in {"hint", "message"} for target in node.targets)
