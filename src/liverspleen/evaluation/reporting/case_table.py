"""The table of all cases of a page: scores, volumes, differences and status of each case, in one row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final, NamedTuple

from liverspleen.evaluation.measurements.readings import INDICES, Examination, Readings
from liverspleen.evaluation.reporting.formatting import DISTANCE_DIGITS, DSS_DIGITS, LOA_DIGITS, RATIO_DIGITS, fixed
from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS
from liverspleen.organs import ORGAN_KEYS

MOST_ROWS: Final = 1_000
"""Cases in the table at most, so that the page stays small; `measurements.csv` has all cases."""

VOLUME_DIGITS: Final = 1


class CaseCell(NamedTuple):
    """The text of a cell, and the number by which the table is sorted; None for a text or an undefined number."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class CaseColumn:
    """One column: the label, the label of its group, and the cells in the order of the rows."""

    label: str
    group: str
    cells: tuple[CaseCell, ...]
    is_number: bool = False
    starts_group: bool = False


@dataclass(frozen=True)
class CaseTable:
    """The examinations of the rows, and the columns; `n_cases` counts also those that are not in the table."""

    examinations: tuple[Examination, ...]
    columns: tuple[CaseColumn, ...]
    n_cases: int

    @cached_property
    def anchors(self) -> dict[str, str]:
        """The name of each row for links, by case."""
        return {e.case_id: f"case-{number}" for number, e in enumerate(self.examinations, 1)}

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The labels of the groups and the number of their columns."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found

    @property
    def rows(self) -> Iterator[tuple[str, str, list[tuple[CaseColumn, CaseCell]]]]:
        """The anchor, the case and the cells of each row."""
        for place, (case_id, anchor) in enumerate(self.anchors.items()):
            yield anchor, case_id, [(column, column.cells[place]) for column in self.columns]


def lowest_dss(readings: Readings, case_id: str, readers: Sequence[str], reference: str | None) -> float:
    """Return the lowest DSS of the organs and readers of a case; infinity without a DSS."""
    scores = [readings.score(case_id, organ, reader, reference or "") for organ in ORGAN_KEYS for reader in readers]
    return min((score for score in scores if not math.isnan(score)), default=math.inf)


def case_table(
    readings: Readings,
    examinations: Sequence[Examination],
    readers: Sequence[str],
    reference: str | None,
    *,
    folds: Mapping[str, str] | None = None,
) -> CaseTable:
    """Return the table of `examinations` with the values of `readers` and of the `reference`, if there is one.

    A difference is reader minus reference, in percent of their mean as in the Bland-Altman figures. `folds` are the
    names of the folds by case. Columns without a value are omitted. Of more than `MOST_ROWS` cases, the table has
    those with the lowest DSS.
    """
    shown = tuple(examinations)
    if len(shown) > MOST_ROWS:
        worst = sorted(shown, key=lambda e: (lowest_dss(readings, e.case_id, readers, reference), e.case_id))
        shown = tuple(sorted(worst[:MOST_ROWS], key=lambda e: e.case_id))
    found = [*_about(shown, folds or {})]
    for index in INDICES:
        for reader in readers:
            found += _of_reader(readings, shown, index, reader, reference)
        if reference is not None:
            found += _of_reader(readings, shown, index, reference, None)
    used = [column for column in found if any(cell.text for cell in column.cells)]
    before = ["", *(column.group for column in used)][: len(used)]
    columns = (replace(now, starts_group=now.group != group) for now, group in zip(used, before, strict=True))
    return CaseTable(shown, tuple(columns), len(examinations))


def _about(examinations: Sequence[Examination], folds: Mapping[str, str]) -> Iterator[CaseColumn]:
    for label, values in (
        ("Dataset", [e.dataset for e in examinations]),
        ("Fold", [folds.get(e.case_id, "") for e in examinations]),
        ("Condition", [e.condition for e in examinations]),
        ("Site", [e.site for e in examinations]),
    ):
        yield CaseColumn(label, "", tuple(map(CaseCell, values)))


def _of_reader(
    readings: Readings, examinations: Sequence[Examination], index: str, reader: str, reference: str | None
) -> Iterator[CaseColumn]:
    """Yield the columns of one organ or the ratio; those with the reference only if there is one."""
    cases, is_organ = [e.case_id for e in examinations], index in ORGAN_KEYS
    group = f"{INDEX_LABELS[index].removesuffix(' volume')}: {reader}"
    numbers = partial(_numbers, group)
    volumes = [readings.volume(case, index, reader) for case in cases]
    if is_organ and reference is not None:
        yield numbers("DSS", (readings.score(case, index, reader, reference) for case in cases), DSS_DIGITS)
    yield numbers(*(("Volume, cm³", volumes, VOLUME_DIGITS) if is_organ else ("Ratio", volumes, RATIO_DIGITS)))
    if reference is not None:
        pairs = list(zip(volumes, (readings.volume(case, index, reference) for case in cases), strict=True))
        if is_organ:
            yield numbers("Difference, cm³", (a - b for a, b in pairs), VOLUME_DIGITS)
        yield numbers("Difference, %", (200 * (a - b) / (a + b) if a + b else math.nan for a, b in pairs), LOA_DIGITS)
    if is_organ:
        if reference is not None:
            distances = (readings.score(case, index, reader, reference, metric="hd95_mm") for case in cases)
            yield numbers("HD95, mm", distances, DISTANCE_DIGITS)
        statuses = (readings.statuses.get((case, index, reader), "") for case in cases)
        yield CaseColumn("Status", group, tuple(map(CaseCell, statuses)))


def _numbers(group: str, label: str, values: Iterable[float], digits: int) -> CaseColumn:
    cells = (CaseCell("") if math.isnan(value) else CaseCell(fixed(value, digits), value) for value in values)
    return CaseColumn(label, group, tuple(cells), is_number=True)
