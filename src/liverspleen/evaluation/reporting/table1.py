"""Table 1: the characteristics of each dataset of a cohort.

| rows | count |
|---|---|
| `patients`, `examinations` | patients, CT examinations |
| `age` | mean ± SD (range) over patients |
| `sex:…`, `condition:…` | patients |
| `slice_thickness:…`, `phase:…` | CT examinations |
| `…_several` | patients whose CT examinations have different values |
| `…_missing` | patients or CT examinations without a value |

Columns are the datasets. A dataset that has patients with a CT examination at both sites of a pair also has a column
per site (`test2_external, test2_internal`). `values` contains `count` and `percent` (of the patients or CT examinations
of the column); for ages, and for more than `MOST_THICKNESSES` slice thicknesses, `mean, sd, minimum, maximum`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary, in_order
from liverspleen.errors import counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, Table, by_row
from liverspleen.evaluation.statistics.samples import describe

TABLE: Final = "table1"
MOST_THICKNESSES: Final = 8
"""Up to this number of different slice thicknesses each has a row; more are reported as mean and SD."""

_THICKNESS: Final = "slice_thickness"
_BY_PATIENT: Final = ("age", "sex", "condition")
_BY_EXAMINATION: Final = (_THICKNESS, "phase")


@dataclass(frozen=True)
class Characteristics:
    """Cells of Table 1, and notes on missing and different values."""

    cells: tuple[Cell, ...]
    notes: tuple[Note, ...]

    @property
    def table(self) -> Table:
        """The cells by row and column; `table.to_frame()` gives them as a pandas DataFrame."""
        return by_row(self.cells, TABLE)


@dataclass(frozen=True)
class _Unit:
    """A patient or a CT examination: its different values (none, one or several), and its cases."""

    values: tuple[str | float, ...]
    cases: tuple[str, ...]


_Units = Mapping[str, Sequence[_Unit]]  # by column


def characteristics(cohort: Cohort) -> Characteristics:
    """Return Table 1 of the usable rows of the cohort; a case without a dataset is in development."""
    columns = columns_of(cohort)
    patients = {name: _patients(cases) for name, cases in columns.items()}
    cells = [
        *_numbers("patients", {name: len(found) for name, found in patients.items()}, columns),
        *_numbers("examinations", {name: len(cases) for name, cases in columns.items()}, columns),
    ]
    by_dataset: dict[str, list[_Unit]] = {}
    for name in (*_BY_PATIENT, *_BY_EXAMINATION):
        by_patient = name in _BY_PATIENT
        units = {
            column: [_unit(name, group) for group in (patients[column] if by_patient else [[c] for c in cases])]
            for column, cases in columns.items()
        }
        by_dataset[name] = [unit for column in datasets_of(cohort) for unit in units[column]]
        cells += _rows(name, units, cohort.vocabulary, kind="patients" if by_patient else "CT examinations")
    return Characteristics(tuple(cells), tuple(_notes(by_dataset)))


def datasets_of(cohort: Cohort) -> dict[str, tuple[Case, ...]]:
    """Return the cases by dataset, in the order of the vocabulary."""
    present = in_order((case.dataset or DEVELOPMENT for case in cohort.cases), cohort.vocabulary.datasets)
    return {name: tuple(c for c in cohort.cases if (c.dataset or DEVELOPMENT) == name) for name in present}


def paired_patients(cases: Sequence[Case], vocabulary: Vocabulary) -> frozenset[str]:
    """Return the patients with a CT examination at both sites of a pair."""
    at_sites = [frozenset(case.patient_id for case in cases if case.site == site) for site in vocabulary.pair]
    return frozenset.intersection(*at_sites) if len(at_sites) == 2 else frozenset()


def columns_of(cohort: Cohort) -> dict[str, tuple[Case, ...]]:
    """Return the cases by column of Table 1."""
    columns: dict[str, tuple[Case, ...]] = {}
    for name, cases in datasets_of(cohort).items():
        columns[name] = cases
        if paired_patients(cases, cohort.vocabulary):
            sites = cohort.vocabulary.pair
            columns |= {f"{name}_{site}": tuple(case for case in cases if case.site == site) for site in sites}
    return columns


def _patients(cases: Sequence[Case]) -> list[list[Case]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.patient_id, []).append(case)
    return list(groups.values())


def _unit(name: str, cases: Sequence[Case]) -> _Unit:
    attribute = "slice_thickness_mm" if name == _THICKNESS else name
    stated = sorted({value for case in cases if (value := getattr(case, attribute)) not in (None, "")})
    # A patient can have a birthday between two examinations: the lowest age counts.
    return _Unit(tuple(stated[:1] if name == "age" else stated), tuple(case.case_id for case in cases))


def _numbers(row: str, numbers: Mapping[str, int], columns: Mapping[str, Sequence[Case]]) -> Iterator[Cell]:
    for column, number in numbers.items():
        cases = tuple(case.case_id for case in columns[column])
        yield Cell(Address(TABLE, row, column), {"count": float(number)}, "1", str(number), number, "count", cases)


def _rows(name: str, units: _Units, vocabulary: Vocabulary, *, kind: str) -> Iterator[Cell]:
    all_units = [unit for found in units.values() for unit in found]
    values = {unit.values[0] for unit in all_units if len(unit.values) == 1}
    if name == "age":
        yield from _spreads(name, units, kind)
    elif name == _THICKNESS and len({_value_text(value) for value in values}) > MOST_THICKNESSES:
        yield from _spreads("slice_thickness_mm", units, kind)
    else:
        for text in _in_order(name, values, vocabulary):
            yield from _counts(f"{name}:{text}", units, kind, partial(_has_value, text))
    if any(len(unit.values) > 1 for unit in all_units):
        yield from _counts(f"{name}_several", units, kind, lambda unit: len(unit.values) > 1)
    if any(not unit.values for unit in all_units):
        yield from _counts(f"{name}_missing", units, kind, lambda unit: not unit.values)


def _counts(row: str, units: _Units, kind: str, belongs: Callable[[_Unit], bool]) -> Iterator[Cell]:
    for column, found in units.items():
        inside = [unit for unit in found if belongs(unit)]
        yield Cell(
            Address(TABLE, row, column),
            values={"count": float(len(inside)), "percent": 100 * len(inside) / len(found) if found else None},
            units=f"{kind}; %",
            text=formatting.count_text(len(inside), len(found)),
            n=len(found),
            method=f"count and percent of all {kind} of the column",
            rows=_cases(inside),
            reason=None if found else f"the column has no {kind}",
        )


def _spreads(row: str, units: _Units, kind: str) -> Iterator[Cell]:
    for column, found in units.items():
        stated = [unit for unit in found if unit.values]
        result = describe([float(unit.values[0]) for unit in stated])
        names = ("mean", "sd", "minimum", "maximum")
        yield Cell(
            Address(TABLE, row, column),
            values={name: getattr(result, name) for name in names},
            units="years" if row == "age" else "mm",
            text=formatting.spread_text(*(getattr(result, name) for name in names)),
            n=result.n,
            method=f"{result.method}, over {kind}",
            rows=_cases(stated),
            excluded=_cases(unit for unit in found if not unit.values),
            reason=result.reason,
        )


def _value_text(value: str | float) -> str:
    return value if isinstance(value, str) else formatting.millimetres(value)


def _has_value(text: str, unit: _Unit) -> bool:
    return len(unit.values) == 1 and _value_text(unit.values[0]) == text


def _in_order(name: str, values: Iterable[str | float], vocabulary: Vocabulary) -> list[str]:
    """Return each value once: conditions in the order of the vocabulary, thicknesses by size, others by name."""
    if name != "condition":
        return list(dict.fromkeys(map(_value_text, sorted(values))))
    return in_order(map(str, values), vocabulary.conditions)


def _cases(units: Iterable[_Unit]) -> tuple[str, ...]:
    return tuple(case for unit in units for case in unit.cases)


def _notes(by_name: Mapping[str, Sequence[_Unit]]) -> Iterator[Note]:
    for name, units in by_name.items():
        label = name.replace("_", " ")
        if missing := [unit for unit in units if not unit.values]:
            kind = "CT examination" if name in _BY_EXAMINATION else "patient"
            message = f"Table 1: {label} is missing for {len(missing)} of {counted(len(units), kind)}"
            yield Note("LS-REP-043", message, "add it to the cohort if it is known", _cases(missing))
        if several := [unit for unit in units if len(unit.values) > 1]:
            message = f"Table 1: the CT examinations of {counted(len(several), 'patient')} differ in {label}"
            hint = "correct the cohort, unless the value changed between the examinations"
            yield Note("LS-REP-044", message, hint, _cases(several))
