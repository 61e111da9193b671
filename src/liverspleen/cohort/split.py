"""The patient-level split into training and validation, kept as a file with the cohort's hash."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.errors import InputError, Issue
from liverspleen.storage import StrPath, write_text

Side = Literal["training", "validation"]
SIDES: tuple[Side, Side] = ("training", "validation")
_COLUMNS = ("patient_id", "side", "seed", "train_fraction", "cohort_hash")
_DRAW = "draw the split anew"


@dataclass(frozen=True)
class Split:
    """Which patients train and which validate; `validation` may be empty."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    seed: int
    train_fraction: float
    cohort_hash: str

    def cases(self, cohort: Cohort, side: Side) -> tuple[Case, ...]:
        """The cases of that side's patients that can be trained on, in the order of the cohort."""
        patients = set(getattr(self, side))
        return tuple(case for case in cohort.cases if case.patient_id in patients and is_trainable(case))

    def unnamed(self, cohort: Cohort) -> tuple[Issue, ...]:
        """The warning LS-SPL-010, if patients that can be trained on are on neither side."""
        patients = {case.patient_id for case in cohort.cases if is_trainable(case)}
        if not (left := patients - {*self.training, *self.validation}):
            return ()
        message = f"{len(left)} of {len(patients)} development patients are on neither side of the split, and not used"
        return (Issue("LS-SPL-010", message, f"{_DRAW} if they should be", file=cohort.path, severity="warning"),)


def is_trainable(case: Case) -> bool:
    """Whether it is a development case with a label map that covers at least one organ."""
    return case.is_development and case.label is not None and bool(case.labelled_structures)


def patients_in_tests(cohort: Cohort, patients: Iterable[str], file: Path | None = None) -> Iterator[Issue]:
    """LS-SPL-002 for those `patients` who have test cases too: what one examination teaches, the other would test."""
    tests: dict[str, list[str]] = defaultdict(list)
    for case in cohort.cases:
        if not case.is_development:
            tests[case.patient_id].append(case.case_id)
    for patient in sorted(set(patients) & set(tests)):
        message = f"patient '{patient}' is to be trained on, but has test cases ({', '.join(tests[patient])})"
        yield Issue("LS-SPL-002", message, "give all examinations of a patient one dataset", file=file or cohort.path)


def write_split(path: StrPath, split: Split) -> None:
    """Write the split as CSV, one row per patient, complete or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for side in SIDES:
        for patient in getattr(split, side):
            writer.writerow([patient, side, split.seed, repr(split.train_fraction), split.cohort_hash])
    write_text(Path(path), text.getvalue())


def read_split(path: StrPath, cohort: Cohort) -> Split:
    """The split in a file, checked against the cohort it is to be used with.

    Raises:
        InputError: with every issue: LS-SPL-002 a patient has test cases, LS-SPL-003 unreadable or not such a table,
            LS-SPL-004 unknown side, LS-SPL-005 a patient on both sides, LS-SPL-006 a patient without a case
            to train on, LS-SPL-007 the cohort has changed, LS-SPL-008 nobody trains.
    """
    path = Path(path)
    rows = _read_rows(path)
    sides: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        sides[row["patient_id"]].add(row["side"])
    first = rows[0]
    issues = [*_side_issues(sides, path), *_cohort_issues(sides, first["cohort_hash"], cohort, path)]
    if issues:
        raise InputError(issues)
    training, validation = (tuple(sorted(p for p, found in sides.items() if side in found)) for side in SIDES)
    return Split(training, validation, int(first["seed"]), float(first["train_fraction"]), first["cohort_hash"])


def _read_rows(path: Path) -> list[dict[str, str]]:
    def rejected(message: str) -> InputError:
        return InputError(Issue("LS-SPL-003", message, _DRAW, file=path))

    try:
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        raise rejected(f"split cannot be read ({error.strerror or type(error).__name__})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise rejected(f"split is not a CSV file in UTF-8 ({error})") from error
    if not rows or any(not row.get(column) for row in rows for column in _COLUMNS):
        raise rejected(f"split is not a table with rows of {', '.join(_COLUMNS)}")
    if len({tuple(row[column] for column in _COLUMNS[2:]) for row in rows}) > 1:
        raise rejected("rows of the split state different seeds, fractions or cohorts")
    try:
        int(rows[0]["seed"]), float(rows[0]["train_fraction"])
    except ValueError as error:
        raise rejected(f"seed or train_fraction is not a number ({error})") from error
    return rows


def _side_issues(sides: dict[str, set[str]], path: Path) -> Iterator[Issue]:
    for patient, found in sides.items():
        for side in sorted(found - set(SIDES)):
            message = f"patient '{patient}' is on the side '{side}', expected {' or '.join(SIDES)}"
            yield Issue("LS-SPL-004", message, "correct it", file=path)
        if found >= set(SIDES):
            yield Issue("LS-SPL-005", f"patient '{patient}' is on both sides", "keep one of the rows", file=path)
    if not any("training" in found for found in sides.values()):
        yield Issue("LS-SPL-008", "no patient is on the side 'training'", _DRAW, file=path)


def _cohort_issues(sides: dict[str, set[str]], stated: str, cohort: Cohort, path: Path) -> Iterator[Issue]:
    if stated != cohort.hash:
        message = f"split was drawn for a cohort with hash {stated[:12]}, '{cohort.path}' has {cohort.hash[:12]}"
        yield Issue("LS-SPL-007", message, f"{_DRAW}, or bring that cohort back", file=path)
        return  # the patients of another cohort say nothing about this one
    trainable = {case.patient_id for case in cohort.cases if is_trainable(case)}
    elsewhere = {case.patient_id for case in cohort.cases if not case.is_development}
    for patient in sorted(set(sides) - trainable - elsewhere):
        message = f"patient '{patient}' has no usable row with a label map in '{cohort.path}'"
        yield Issue("LS-SPL-006", message, f"correct the cohort, or {_DRAW}", file=path)
    yield from patients_in_tests(cohort, sides, path)
