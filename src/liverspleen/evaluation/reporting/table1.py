"""Table 1: the characteristics of each dataset of a cohort.

| rows | count |
|---|---|
| `patients`, `examinations` | patients, CTs |
| `age` | mean ± SD (range) over patients |
| `sex:…`, `condition:…` | patients |
| `slice_thickness:…`, `phase:…` | CTs |
| `…_several`, `…_missing` | patients whose CTs state different things; patients or CTs of which nothing is stated |

Columns are the datasets, and each dataset that has patients with a CT of both sites of a pair again by site
(`test2_external, test2_internal`). In `values` stand `count` and `percent` (of the patients or CTs of the column), for
ages and for more than `MOST_THICKNESSES` slice thicknesses `mean, sd, minimum, maximum`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.vocabulary import DEVELOPMENT, Vocabulary, in_order
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import Address, Cell, Table, by_row
from liverspleen.evaluation.statistics.samples import describe

TABLE: Final = "table1"
MOST_THICKNESSES: Final = 8
"""Section thicknesses that are counted one by one; of more, mean and SD are told."""

_THICKNESS: Final = "slice_thickness"


@dataclass(frozen=True)
class Characteristics:
    """Cells of Table 1, and what is missing from them."""

    cells: tuple[Cell, ...]
    notes: tuple[Note, ...]

    @property
    def table(self) -> Table:
        """The cells by row and column; `table.to_frame()` gives them as a pandas DataFrame."""
        return by_row(self.cells, TABLE)


@dataclass(frozen=True)
class _Unit:
    """A patient or a CT: the values stated of it (none, one, or contradicting ones), and its cases."""

    values: tuple[str | float, ...]
    cases: tuple[str, ...]


_Units = Mapping[str, Sequence[_Unit]]  # by column


def characteristics(cohort: Cohort) -> Characteristics:
    """Table 1 of the cohort's usable rows; a dataset without a name is development."""
    columns = columns_of(cohort)
    patients = {name: _patients(cases) for name, cases in columns.items()}
    cells = [
        *_numbers("patients", {name: len(found) for name, found in patients.items()}, columns),
        *_numbers("examinations", {name: len(cases) for name, cases in columns.items()}, columns),
    ]
    whole: dict[str, list[_Unit]] = {}
    for name, by_patient in (("age", True), ("sex", True), ("condition", True), (_THICKNESS, False), ("phase", False)):
        units = {
            column: [_unit(name, group) for group in (patients[column] if by_patient else [[c] for c in cases])]
            for column, cases in columns.items()
        }
        whole[name] = [unit for column in datasets_of(cohort) for unit in units[column]]
        cells += _rows(name, units, cohort.vocabulary, of="patients" if by_patient else "CTs")
    return Characteristics(tuple(cells), tuple(_notes(whole)))


def datasets_of(cohort: Cohort) -> dict[str, tuple[Case, ...]]:
    """The cases by dataset, in the order of the vocabulary."""
    present = in_order((case.dataset or DEVELOPMENT for case in cohort.cases), cohort.vocabulary.datasets)
    return {name: tuple(c for c in cohort.cases if (c.dataset or DEVELOPMENT) == name) for name in present}


def paired_patients(cases: Sequence[Case], vocabulary: Vocabulary) -> frozenset[str]:
    """The patients with a CT at both sites of a pair."""
    at_sites = [frozenset(case.patient_id for case in cases if case.site == site) for site in vocabulary.pair]
    return frozenset.intersection(*at_sites) if len(at_sites) == 2 else frozenset()


def columns_of(cohort: Cohort) -> dict[str, tuple[Case, ...]]:
    """The cases by column of Table 1."""
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
    # Two CTs of a patient may lie a birthday apart: the younger age counts.
    return _Unit(tuple(stated[:1] if name == "age" else stated), tuple(case.case_id for case in cases))


def _numbers(row: str, numbers: Mapping[str, int], columns: Mapping[str, Sequence[Case]]) -> Iterator[Cell]:
    for column, number in numbers.items():
        cases = tuple(case.case_id for case in columns[column])
        yield Cell(Address(TABLE, row, column), {"count": float(number)}, "1", str(number), number, "count", cases)


def _rows(name: str, units: _Units, vocabulary: Vocabulary, *, of: str) -> Iterator[Cell]:
    everything = [unit for found in units.values() for unit in found]
    values = {unit.values[0] for unit in everything if len(unit.values) == 1}
    if name == "age":
        yield from _spreads(name, units, of)
    elif name == _THICKNESS and len({_word(value) for value in values}) > MOST_THICKNESSES:
        yield from _spreads("slice_thickness_mm", units, of)
    else:
        for word in _in_order(name, values, vocabulary):
            yield from _counts(f"{name}:{word}", units, of, partial(_states, word))
    if any(len(unit.values) > 1 for unit in everything):
        yield from _counts(f"{name}_several", units, of, lambda unit: len(unit.values) > 1)
    if any(not unit.values for unit in everything):
        yield from _counts(f"{name}_missing", units, of, lambda unit: not unit.values)


def _counts(row: str, units: _Units, of: str, belongs: Callable[[_Unit], bool]) -> Iterator[Cell]:
    for column, found in units.items():
        inside = [unit for unit in found if belongs(unit)]
        yield Cell(
            Address(TABLE, row, column),
            values={"count": float(len(inside)), "percent": 100 * len(inside) / len(found) if found else None},
            units=f"{of}; %",
            text=formatting.count_text(len(inside), len(found)),
            n=len(found),
            method=f"count and percent of all {of} of the column",
            rows=_cases(inside),
            reason=None if found else f"the column has no {of}",
        )


def _spreads(row: str, units: _Units, of: str) -> Iterator[Cell]:
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
            method=f"{result.method}, over {of}",
            rows=_cases(stated),
            excluded=_cases(unit for unit in found if not unit.values),
            reason=result.reason,
        )


def _word(value: str | float) -> str:
    return value if isinstance(value, str) else formatting.millimetres(value)


def _states(word: str, unit: _Unit) -> bool:
    return len(unit.values) == 1 and _word(unit.values[0]) == word


def _in_order(name: str, values: Iterable[str | float], vocabulary: Vocabulary) -> list[str]:
    """Thicknesses by size, conditions in the order of the vocabulary, other words by name; each once."""
    if name != "condition":
        return list(dict.fromkeys(map(_word, sorted(values))))
    return in_order(map(str, values), vocabulary.conditions)


def _cases(units: Iterable[_Unit]) -> tuple[str, ...]:
    return tuple(case for unit in units for case in unit.cases)


def _notes(whole: Mapping[str, Sequence[_Unit]]) -> Iterator[Note]:
    for name, units in whole.items():
        message = name.replace("_", " ")
        if missing := [unit for unit in units if not unit.values]:
            text = f"Table 1: {message} is not stated for {len(missing)} of {len(units)}"
            yield Note("LS-REP-043", text, "state it in the cohort if it is known", _cases(missing))
        if several := [unit for unit in units if len(unit.values) > 1]:
            text = f"Table 1: the CTs of {len(several)} patients state different things of {message}"
            yield Note("LS-REP-044", text, "correct the cohort, unless it changed between the CTs", _cases(several))
