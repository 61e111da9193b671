"""Counts of Figure 1: flow of patients from assessment to the datasets, from the cohort, the split and the exclusions.

The exclusions are a CSV file with the columns `reason,count`; `count` is a number of patients. A row with the reason
`assessed` gives the number of patients before exclusion:

    reason,count
    assessed,1183
    no portal venous phase,41
    previous liver surgery,12
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.split import Split
from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary, in_order
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.reporting.table1 import datasets_of, paired_patients
from liverspleen.evaluation.reporting.table_layout import condition_label, site_label
from liverspleen.reading import read_csv
from liverspleen.storage import StrPath

ASSESSED: Final = "assessed"
_COLUMNS: Final = ["reason", "count"]


@dataclass(frozen=True)
class Exclusions:
    """Patients excluded before the cohort was written, by reason; `assessed` is None if it is not stated."""

    reasons: tuple[tuple[str, int], ...]
    assessed: int | None = None

    @property
    def total(self) -> int:
        """Number of all excluded patients."""
        return sum(count for _, count in self.reasons)


@dataclass(frozen=True)
class Part:
    """A part of a dataset; the counts of all parts add up to the dataset. `unit` is `patients` or `CT`."""

    label: str
    count: int
    unit: str


@dataclass(frozen=True)
class Branch:
    """One dataset of the flow."""

    dataset: str
    patients: int
    examinations: int
    parts: tuple[Part, ...]
    paired_patients: int


@dataclass(frozen=True)
class Flow:
    """Counts from the patients assessed to the datasets.

    `shared_patients` is the number of patients in more than one dataset; each of these datasets counts them.
    """

    exclusions: Exclusions | None
    patients: int
    examinations: int
    branches: tuple[Branch, ...]
    shared_patients: int

    @property
    def assessed(self) -> int | None:
        """Number of patients before exclusion, stated or summed; None without exclusions."""
        if self.exclusions is None:
            return None
        stated = self.exclusions.assessed
        return self.patients + self.exclusions.total if stated is None else stated

    @property
    def unexplained(self) -> int:
        """Assessed − excluded − included patients; 0 if the numbers agree."""
        return 0 if self.exclusions is None else (self.assessed or 0) - self.exclusions.total - self.patients

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as a dict for JSON."""
        return {**asdict(self), "assessed": self.assessed, "unexplained": self.unexplained}


def flow_of(cohort: Cohort, *, splits: Mapping[str, Split] | None = None, exclusions: Exclusions | None = None) -> Flow:
    """Return the counts of patients and CT scans of the usable rows of the cohort.

    The parts of the development dataset are the sides of the split if there is one, or the cross-validation if there
    are several. The parts of a dataset with pairs
    are its sites, those of any other dataset its conditions.
    """
    datasets = datasets_of(cohort)
    patients = {name: {case.patient_id for case in cases} for name, cases in datasets.items()}
    datasets_per_patient = Counter(patient for found in patients.values() for patient in found)
    return Flow(
        exclusions=exclusions,
        patients=len(datasets_per_patient),
        examinations=len(cohort.cases),
        branches=tuple(
            Branch(
                dataset=name,
                patients=len(patients[name]),
                examinations=len(cases),
                parts=tuple(_parts(cases, cohort.vocabulary, splits if name == DEVELOPMENT else None)),
                paired_patients=len(paired_patients(cases, cohort.vocabulary)),
            )
            for name, cases in datasets.items()
        ),
        shared_patients=sum(number > 1 for number in datasets_per_patient.values()),
    )


def flow_notes(flow: Flow, cohort: Cohort) -> list[Note]:
    """Return notes on contradictions between the numbers of a flow, and on rows that are not counted."""
    notes = []
    if flow.unexplained:
        message = (
            f"Figure 1: {flow.assessed} assessed minus {flow.exclusions.total if flow.exclusions else 0} excluded does "
            f"not equal the {counted(flow.patients, 'patient')} of the cohort: {flow.unexplained:+d} unexplained"
        )
        notes.append(Note("LS-REP-045", message, "correct the exclusions or the cohort; Figure 1 shows the difference"))
    if flow.shared_patients:
        found = counted(flow.shared_patients, "patient")
        message = f"Figure 1 counts {found} in more than one dataset"
        notes.append(Note("LS-REP-046", message, "check the datasets; nothing needs to be done if this is intended"))
    if any(issue.severity == "error" for issue in cohort.issues):
        message = "Table 1 and Figure 1 count only the usable rows of the cohort; the rows with errors are excluded"
        notes.append(Note("LS-REP-047", message, "correct these rows; liverspleen check lists them"))
    return notes


def read_exclusions(path: StrPath) -> Exclusions:
    """Read the exclusions from a CSV file with the columns `reason,count` (UTF-8 with or without BOM).

    Raises:
        InputError: LS-REP-050 the file is not readable or not such a table; LS-REP-051 a reason or count is not valid.
            All issues are reported at once.
    """
    path = Path(path)
    rows = _records(path)
    issues = [*_row_issues(rows, path)]
    if issues:
        raise InputError(issues)
    counts = {reason.strip(): int(count) for _, (reason, count) in rows}
    assessed = counts.pop(ASSESSED, None)
    return Exclusions(tuple(counts.items()), assessed)


def _parts(cases: Sequence[Case], vocabulary: Vocabulary, splits: Mapping[str, Split] | None) -> Iterator[Part]:
    if splits:
        patients = {case.patient_id for case in cases}
        sides = {label: patients & found for label, found in _sides(splits).items()}
        rest = patients.difference(*sides.values())
        yield from (Part(label, len(found), "patients") for label, found in sides.items())
        if rest:
            yield Part("Not in the split", len(rest), "patients")
        return
    if paired_patients(cases, vocabulary):
        sites = Counter(case.site for case in cases)
        ordered = in_order(sites, vocabulary.sites)
        yield from (Part(site_label(site, vocabulary), sites[site], "CT") for site in ordered)
        return
    conditions = Counter(case.condition for case in cases)
    if set(conditions) == {""}:
        return
    for name in in_order(conditions, vocabulary.conditions):
        yield Part(condition_label(name, vocabulary), conditions[name], "CT")


def _sides(splits: Mapping[str, Split]) -> dict[str, set[str]]:
    """Return the patients of both sides of a split, or the validation patients of all folds."""
    if len(splits) > 1:
        validated = {patient for split in splits.values() for patient in split.validation}
        return {f"{len(splits)}-fold cross-validation": validated}
    (split,) = splits.values()
    return {"Training": set(split.training), "Validation": set(split.validation)}


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows below the header, each with its row number and its two cells."""

    def rejected(message: str, hint: str) -> InputError:
        return InputError(Issue("LS-REP-050", message, hint, file=path))

    try:
        records = read_csv(path)
    except OSError as error:
        raise rejected(
            f"exclusions cannot be read ({error.strerror or error})", "give the path of an existing file"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise rejected(f"exclusions are not a CSV file in UTF-8 ({error})", "save the file as CSV in UTF-8") from error
    header = [name.strip() for name in records[0]] if records else []
    rows = [(number, cells) for number, cells in enumerate(records[1:], 2) if any(cell.strip() for cell in cells)]
    if header != _COLUMNS or any(len(cells) != len(_COLUMNS) for _, cells in rows):
        raise rejected(
            "exclusions do not have exactly the columns reason,count",
            "write a header reason,count and one row per reason",
        )
    return rows


def _row_issues(rows: Sequence[tuple[int, list[str]]], path: Path) -> Iterator[Issue]:
    reasons = Counter(cells[0].strip() for _, cells in rows)
    for number, (reason, count) in rows:
        if not reason.strip() or reasons[reason.strip()] > 1:
            message = f"row {number}: reason {reason!r} is empty or occurs more than once"
            yield Issue("LS-REP-051", message, "write one row per reason", file=path)
        if not (count.strip().isascii() and count.strip().isdigit()):
            message = f"row {number}: count {count!r} is not a whole number of patients"
            yield Issue("LS-REP-051", message, "correct the count", file=path)
