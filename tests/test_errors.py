"""Lines that users read: issues collapsed, and where an unexpected error was raised."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from liverspleen.cohort.identity import Identity
from liverspleen.cohort.privacy import RedactedError, redacted_errors
from liverspleen.errors import InputError, Issue, Severity, collapsed, raised_at
from liverspleen.organs import organ


def missing(number: int, *, severity: Severity = "error", hint: str = "add it") -> Issue:
    case_id = f"A{number:03d}"
    message = f"label map is missing, expected {case_id}.nii.gz or {case_id}_dseg.nii.gz"
    return Issue("LS-LAB-005", message, hint, case_id, f"labels/{case_id}.nii.gz", severity)


def test_one_issue_of_200_cases_is_one_line_with_the_first_case() -> None:
    assert collapsed(missing(number) for number in range(17, 217)) == [
        "LS-LAB-005 200 cases, first 'A017' file 'labels/A017.nii.gz': label map is missing, expected A017.nii.gz or "
        "A017_dseg.nii.gz; add it"
    ]


def test_the_text_of_an_input_error_is_collapsed_and_its_issues_are_all_kept() -> None:
    error = InputError([missing(number) for number in range(200)])
    assert str(error).count("\n") == 0
    assert str(error).startswith("LS-LAB-005 200 cases, first 'A000'")
    assert len(error.issues) == 200


@pytest.mark.parametrize("number", [1, 2, 3])
def test_up_to_three_cases_are_listed_one_by_one(number: int) -> None:
    issues = [missing(n) for n in range(number)]
    assert collapsed(issues) == [str(issue) for issue in issues]


def test_messages_that_differ_only_in_numbers_are_the_same_issue() -> None:
    issues = [Issue("LS-GEO-010", f"field of view is {n * 1.5} x {n} mm", "check it", f"c{n}") for n in range(4)]
    assert collapsed(issues) == ["LS-GEO-010 4 cases, first 'c0': field of view is 0.0 x 0 mm; check it"]


@pytest.mark.parametrize(
    "other",
    [
        Issue("LS-LAB-006", "found it", "add it", "z"),
        Issue("LS-LAB-005", "found another", "add it", "z"),
        Issue("LS-LAB-005", "found it", "remove it", "z"),
        Issue("LS-LAB-005", "found it", "add it", "z", severity="warning"),
    ],
)
def test_another_code_severity_message_or_hint_has_a_line_of_its_own(other: Issue) -> None:
    same = [Issue("LS-LAB-005", "found it", "add it", name) for name in "abcd"]
    mark = "warning: " if other.severity == "warning" else ""
    assert collapsed([same[0], other, *same[1:]]) == [
        "LS-LAB-005 4 cases, first 'a': found it; add it",
        f"{mark}{other}",
    ]


def test_issues_without_a_case_and_several_of_one_case_are_counted_as_times() -> None:
    rows = [Issue("LS-COV-003", f"row {n} has no source", "fill it in", file="c.csv") for n in range(2, 12)]
    assert collapsed(rows) == ["LS-COV-003 10 times, first file 'c.csv': row 2 has no source; fill it in"]
    twice = [Issue("LS-LAB-013", f"organ has {n} parts", "check it", "A1", severity="note") for n in range(4)]
    assert collapsed(twice) == ["note: LS-LAB-013 4 times, first 'A1': organ has 0 parts; check it"]


def test_lines_hold_no_control_characters() -> None:
    (line,) = collapsed(Issue("LS-LAB-005", "bad\nname", "add it", f"A\n{n}") for n in range(9))
    assert line.isprintable()


def test_an_error_of_another_process_names_the_line_it_was_raised_at() -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(ValueError, match="tail") as caught:
        pool.submit(organ, "tail").result()
    assert raised_at(caught.value).startswith("liverspleen/organs.py:")


def test_a_hidden_error_names_the_line_of_the_error_that_it_stands_for() -> None:
    with pytest.raises(RedactedError) as caught, redacted_errors(Identity(b"key"), "reading"):
        organ("Smith")
    assert raised_at(caught.value).startswith("liverspleen/organs.py:")
    assert "Smith" not in str(caught.value)
