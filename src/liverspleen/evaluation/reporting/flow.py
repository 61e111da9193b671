"""Figure 1: from the patients assessed to the datasets, counted from the cohort, the split and the exclusions stated.

Exclusions are a CSV file of `reason,count`, counts being patients; a row with the reason `assessed` states how many
patients there were before any was excluded:

    reason,count
    assessed,1183
    no portal venous phase,41
    previous liver surgery,12
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.split import Split
from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary, in_order
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.reporting.table1 import datasets_of, paired_patients
from liverspleen.evaluation.reporting.table_layout import condition_label, site_label
from liverspleen.storage import StrPath

ASSESSED: Final = "assessed"
_COLUMNS: Final = ["reason", "count"]


@dataclass(frozen=True)
class Exclusions:
    """Patients left out before the cohort was written, by reason; `assessed` is None where nobody stated it."""

    reasons: tuple[tuple[str, int], ...]
    assessed: int | None = None

    @property
    def total(self) -> int:
        """All that were excluded."""
        return sum(count for _, count in self.reasons)


@dataclass(frozen=True)
class Part:
    """A share of a dataset; the parts of a dataset with one unit add up to it."""

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

    `unexplained` is what the stated numbers leave open: assessed − excluded − included; 0 where nothing contradicts.
    `shared_patients` are in more than one dataset, so that the branches count them twice.
    """

    exclusions: Exclusions | None
    patients: int
    examinations: int
    branches: tuple[Branch, ...]
    shared_patients: int

    @property
    def assessed(self) -> int | None:
        """Patients before exclusion, stated or added up; None without exclusions."""
        if self.exclusions is None:
            return None
        stated = self.exclusions.assessed
        return self.patients + self.exclusions.total if stated is None else stated

    @property
    def unexplained(self) -> int:
        """Assessed minus excluded minus included."""
        return 0 if self.exclusions is None else (self.assessed or 0) - self.exclusions.total - self.patients

    def to_dict(self) -> dict[str, Any]:
        """The counts ready for JSON."""
        return {**asdict(self), "assessed": self.assessed, "unexplained": self.unexplained}


def flow_of(cohort: Cohort, *, split: Split | None = None, exclusions: Exclusions | None = None) -> Flow:
    """Count patients and CTs of the cohort's usable rows.

    The development dataset is parted by the split if there is one, a dataset with pairs by site, any other by
    condition.
    """
    datasets = datasets_of(cohort)
    patients = {name: {case.patient_id for case in cases} for name, cases in datasets.items()}
    times = Counter(patient for found in patients.values() for patient in found)
    return Flow(
        exclusions=exclusions,
        patients=len(times),
        examinations=len(cohort.cases),
        branches=tuple(
            Branch(
                dataset=name,
                patients=len(patients[name]),
                examinations=len(cases),
                parts=tuple(_parts(cases, cohort.vocabulary, split if name == DEVELOPMENT else None)),
                paired_patients=len(paired_patients(cases, cohort.vocabulary)),
            )
            for name, cases in datasets.items()
        ),
        shared_patients=sum(number > 1 for number in times.values()),
    )


def flow_notes(flow: Flow, cohort: Cohort) -> list[Note]:
    """Where the numbers of a flow contradict each other, or leave rows out."""
    notes = []
    if flow.unexplained:
        message = (
            f"Figure 1: {flow.assessed} assessed minus {flow.exclusions.total if flow.exclusions else 0} excluded is "
            f"not the cohort's {flow.patients} patients: {flow.unexplained:+d} unexplained"
        )
        notes.append(
            Note("LS-REP-045", message, "correct the exclusions or the cohort; the figure shows the difference")
        )
    if flow.shared_patients:
        message = f"Figure 1: {flow.shared_patients} patients are in more than one dataset, which counts them in each"
        notes.append(Note("LS-REP-046", message, "no hint needed if it was meant so"))
    if any(issue.severity == "error" for issue in cohort.issues):
        message = "Table 1 and Figure 1 count the cohort's usable rows only; others were rejected"
        notes.append(Note("LS-REP-047", message, "correct the rows: liverspleen check lists them"))
    return notes


def read_exclusions(path: StrPath) -> Exclusions:
    """The exclusions in a CSV file of `reason,count` (UTF-8 with or without BOM).

    Raises:
        InputError: LS-REP-050 unreadable or not such a table, LS-REP-051 a count or reason that is none; all at once.
    """
    path = Path(path)
    rows = _records(path)
    issues = [*_row_issues(rows, path)]
    if issues:
        raise InputError(issues)
    counts = {reason.strip(): int(count) for _, (reason, count) in rows}
    assessed = counts.pop(ASSESSED, None)
    return Exclusions(tuple(counts.items()), assessed)


def _parts(cases: Sequence[Case], vocabulary: Vocabulary, split: Split | None) -> Iterator[Part]:
    if split is not None:
        patients = {case.patient_id for case in cases}
        sides = {"Training": patients & set(split.training), "Validation": patients & set(split.validation)}
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


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Rows below the header with their numbers, each of two cells."""

    def rejected(message: str, hint: str) -> InputError:
        return InputError(Issue("LS-REP-050", message, hint, file=path))

    try:
        records = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        raise rejected(f"exclusions cannot be read ({error.strerror or error})", "correct the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise rejected(f"exclusions are not a CSV file in UTF-8 ({error})", "save them as CSV UTF-8") from error
    header = [name.strip() for name in records[0]] if records else []
    rows = [(number, cells) for number, cells in enumerate(records[1:], 2) if any(cell.strip() for cell in cells)]
    if header != _COLUMNS or any(len(cells) != len(_COLUMNS) for _, cells in rows):
        raise rejected("exclusions are not a table of the columns reason,count", "write one row per reason")
    return rows


def _row_issues(rows: Sequence[tuple[int, list[str]]], path: Path) -> Iterator[Issue]:
    reasons = Counter(cells[0].strip() for _, cells in rows)
    for number, (reason, count) in rows:
        if not reason.strip() or reasons[reason.strip()] > 1:
            message = f"row {number}: reason {reason!r} is empty or stands more than once"
            yield Issue("LS-REP-051", message, "give each reason one row", file=path)
        if not (count.strip().isascii() and count.strip().isdigit()):
            message = f"row {number}: count {count!r} is not a whole number of patients"
            yield Issue("LS-REP-051", message, "correct it", file=path)
