"""Tables 2-4 of the paper and the percentage RC, as addressed cells, with the tables of `beyond` after them.

| table | rows | columns |
|---|---|---|
| `table2` | `total`, the conditions, `p` | the organs: `liver, spleen` |
| `table3` | `total`, the conditions | `liver, liver_p, spleen, spleen_p, ratio, ratio_p` |
| `table4` | `dss_liver, dss_spleen, loa_liver, loa_spleen, loa_ratio` | the sites, `p` |
| `reproducibility` | `liver, spleen, ratio` | the readers |

Tables 2 and 3 use the first test dataset of the vocabulary (`test1`), the others the second (`test2`). The columns
`external` and `internal` of Table 4 describe every CT of that site; its `p` and the percentage RC use patients with one
CT of each of the first two sites. The p of the rows `loa_*` is a cell with the text `NA`, as printed in the paper.
Conditions come in the order of the vocabulary, others after them by name; a case without condition counts in `total`
alone. What the cells hold is told in `cells`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

from liverspleen.cohort.vocabulary import PAPER, Vocabulary
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import (
    INDICES,
    Examination,
    PatientPair,
    Readings,
    choose_readers,
    examinations_of,
    pairs_of,
    readings_of,
)
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.reporting import cells
from liverspleen.evaluation.reporting.cells import PAIRED, Address, Cell, Table
from liverspleen.evaluation.reporting.missing_cases import gaps_of
from liverspleen.evaluation.reporting.results import Groups, ReportResults, reproducibility_coefficients
from liverspleen.evaluation.reporting.supplement import supplement
from liverspleen.evaluation.statistics.bland_altman import BlandAltman
from liverspleen.evaluation.statistics.reproducibility import PercentageRC
from liverspleen.organs import ORGAN_KEYS

TABLES: Final = ("table2", "table3", "table4", "reproducibility")


@dataclass(frozen=True)
class Agreement:
    """Agreement on one index over the cases of Table 3, with the condition of each pair that entered."""

    index: str
    result: BlandAltman
    case_ids: tuple[str, ...]
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class StatisticalReport:
    """Everything a report tells: cells, notes, the agreements its figures draw, and the words of its cohort."""

    reader: str | None
    reference: str | None
    cells: tuple[Cell, ...]
    notes: tuple[Note, ...]
    agreements: tuple[Agreement, ...]
    n_examinations: int
    n_patients: int
    vocabulary: Vocabulary = PAPER

    def table(self, name: str) -> Table:
        """The cells of one table by row and column; empty if the table could not be made.

        `table(name).to_frame()` gives it as a pandas DataFrame.
        """
        return cells.by_row(self.cells, name)


def statistical_report(
    measurements: Measurements, *, reader: str | None = None, reference: str | None = None
) -> StatisticalReport:
    """The paper's tables from measurements, for `reader` against `reference`.

    By default these are the only pair of readers that the file compares, or `dla` against `manual`. A table without
    any defined number is left out, and a note says so; so is each case that belongs to a table and lacks a row or a
    value.

    Raises:
        InputError: a reader asked for is not there, several pairs of readers are compared and none is chosen, or a
            condition is named like another row of the tables.
    """
    readings = readings_of(measurements)
    vocabulary = readings.vocabulary
    check_words(readings.examinations)
    readers = choose_readers(readings, reader, reference)
    first, notes = examinations_of(readings, 0)
    second, more = examinations_of(readings, 1)
    pairs, unpaired = pairs_of(second, vocabulary)
    notes += more + unpaired + _repeated_patients(first) + _in_no_table(readings, (*first, *second))
    columns = _readers_in_order(readings, second, readers)
    coefficients = reproducibility_coefficients(readings, pairs, columns)
    reproducibility = _reproducibility(coefficients, pairs)
    agreements: tuple[Agreement, ...] = ()
    if readers is None:
        message = "no reader is compared with a reference: Tables 2 to 4 need DSS, or volumes of two readers"
        notes.append(Note("LS-REP-021", message, "choose by reader= and reference=, or add rows with a reference"))
        made = [*reproducibility]
    else:
        results = ReportResults(readings, *readers, Groups(first, second, pairs, vocabulary), coefficients)
        made = [*_table2(results), *_table3(results), *_table4(results), *reproducibility, *supplement(results)]
        agreements = _agreements(results)
        notes += gaps_of(readings, first, readers, scored=True) + gaps_of(readings, second, readers, scored=True)
    others = tuple(name for name in columns if readers is None or name not in readers)
    notes += gaps_of(readings, second, others, scored=False)
    if readers is not None:
        notes += _surface_notes(results)
    kept, left_out = _tables_with_numbers(made, vocabulary)
    return StatisticalReport(
        reader=readers[0] if readers else None,
        reference=readers[1] if readers else None,
        cells=kept,
        notes=tuple(notes + left_out),
        agreements=tuple(agreement for agreement in agreements if agreement.result.n),
        n_examinations=len(readings.examinations),
        n_patients=len({e.patient_id for e in readings.examinations}),
        vocabulary=vocabulary,
    )


def _table2(results: ReportResults) -> Iterator[Cell]:
    for row, cases in results.groups.total_and_conditions.items():
        for structure in ORGAN_KEYS:
            yield cells.dss_cell(Address("table2", row, structure), results.scores(cases, structure))
    for structure in ORGAN_KEYS:
        by_condition = results.scores_by_condition(structure)
        pooled = {case: dss for scores in by_condition.values() for case, dss in scores.items()}
        yield cells.subgroup_p_cell(Address("table2", "p", structure), results.conditions_test(structure), pooled)


def _table3(results: ReportResults) -> Iterator[Cell]:
    for row, cases in results.groups.total_and_conditions.items():
        for index in INDICES:
            result = results.agreement(cases, index)
            yield cells.loa_cell(Address("table3", row, index), result, cases)
            yield cells.bias_p_cell(Address("table3", row, f"{index}_p"), result, cases)


def _table4(results: ReportResults) -> Iterator[Cell]:
    groups = results.groups
    sites = {
        site: tuple(e.case_id for e in groups.second if e.site == site) for site in results.readings.vocabulary.sites
    }
    for structure in ORGAN_KEYS:
        row = f"dss_{structure}"
        for site, cases in sites.items():
            yield cells.dss_cell(Address("table4", row, site), results.scores(cases, structure))
        scores = results.scores(_both(groups.pairs), structure)
        defined = [not (isnan(scores[pair.first]) or isnan(scores[pair.second])) for pair in groups.pairs]
        yield cells.site_p_cell(
            Address("table4", row, "p"),
            results.sites_test(structure),
            rows=_both(pair for pair, both in zip(groups.pairs, defined, strict=True) if both),
            excluded=_both(pair for pair, both in zip(groups.pairs, defined, strict=True) if not both),
        )
    for index in INDICES:
        for site, cases in sites.items():
            yield cells.loa_cell(Address("table4", f"loa_{index}", site), results.agreement(cases, index), cases)
        yield cells.not_applicable_cell(Address("table4", f"loa_{index}", "p"))


def _reproducibility(
    coefficients: Mapping[tuple[str, str], PercentageRC], pairs: Sequence[PatientPair]
) -> Iterator[Cell]:
    cases = [(pair.first, pair.second) for pair in pairs]
    for (index, reader), result in coefficients.items():
        yield cells.rc_cell(Address("reproducibility", index, reader), result, cases)


def _both(pairs: Iterable[PatientPair]) -> tuple[str, ...]:
    return tuple(case for pair in pairs for case in (pair.first, pair.second))


def _agreements(results: ReportResults) -> tuple[Agreement, ...]:
    examinations, cases = results.groups.first, results.groups.all_first
    found = {index: results.agreement(cases, index) for index in INDICES}
    return tuple(
        Agreement(
            index,
            result,
            tuple(cases[position] for position in result.positions),
            tuple(examinations[position].condition for position in result.positions),
        )
        for index, result in found.items()
    )


def _readers_in_order(
    readings: Readings, examinations: Sequence[Examination], first: tuple[str, str] | None
) -> tuple[str, ...]:
    """Readers of these examinations: the one under test, its reference, the others by name."""
    cases = {e.case_id for e in examinations}
    present = {reader for case, _, reader in readings.volumes if case in cases}
    leading = [name for name in first or () if name in present]
    return (*leading, *sorted(present.difference(leading)))


def check_words(examinations: Sequence[Examination]) -> None:
    """Reject a condition or site that is named like another row or column, or a condition that holds what joins two."""
    if joined := sorted(e.condition for e in examinations if PAIRED in e.condition):
        message = f"condition {joined[0]!r} holds {PAIRED!r}, which joins two conditions in a row"
        raise InputError(Issue("LS-REP-003", message, "rename the condition"))
    if taken := sorted({e.condition for e in examinations} & {"total", "p"}):
        message = f"condition {', '.join(map(repr, taken))} is the name of another row of Tables 2 and 3"
        raise InputError(Issue("LS-REP-003", message, "rename the condition"))
    if any(e.site == "p" for e in examinations):
        raise InputError(Issue("LS-REP-003", "site 'p' is the name of another column of Table 4", "rename the site"))


def _in_no_table(readings: Readings, used: Sequence[Examination]) -> list[Note]:
    inside = {e.case_id for e in used}
    outside = [e for e in readings.examinations if e.case_id not in inside]
    if not outside:
        return []
    datasets = ", ".join(sorted({repr(e.dataset) if e.dataset else "none" for e in outside}))
    message = f"{len(outside)} CT of dataset {datasets} enter no table"
    return [
        Note(
            "LS-REP-016",
            message,
            f"name dataset {' or '.join(map(repr, dict.fromkeys(readings.vocabulary.tests)))} if they belong to one",
            tuple(e.case_id for e in outside),
        )
    ]


def _repeated_patients(examinations: Sequence[Examination]) -> list[Note]:
    patients = [e.patient_id for e in examinations]
    repeated = tuple(e.case_id for e in examinations if patients.count(e.patient_id) > 1)
    if not repeated:
        return []
    message = f"Tables 2 and 3 hold {len(repeated)} CT of patients with more than one: their p takes CTs as independent"
    return [Note("LS-REP-022", message, "keep one CT of each patient in the dataset of these tables", repeated)]


def _surface_notes(results: ReportResults) -> list[Note]:
    """Surface metrics of several definitions are not pooled; undefined distances are counted."""
    cases = results.groups.all_first
    definitions = results.surfaces(cases)
    if len(definitions) > 1:
        message = (
            f"HD95, ASSD and NSD are left out: they follow {len(definitions)} definitions, {'; '.join(definitions)}"
        )
        return [Note("LS-REP-017", message, "measure all cases by one definition")]
    notes = []
    for structure in ORGAN_KEYS if definitions else ():
        dss, hd95 = (results.scores(cases, structure, metric) for metric in ("dss", "hd95_mm"))
        undefined = tuple(case for case in cases if not isnan(dss[case]) and isnan(hd95[case]))
        if undefined:
            message = f"{structure} HD95 and ASSD are undefined in {len(undefined)} of {len(cases)} CT"
            notes.append(Note("LS-REP-018", message, "no hint needed where one of the label maps is empty", undefined))
    return notes


def _wanting(table: str, vocabulary: Vocabulary) -> str:
    """Why one of the paper's tables could not be made."""
    of_site, of_pair = " or ".join(vocabulary.sites), " and one of site ".join(vocabulary.pair)
    return {
        "table2": "Table 2 is left out: no CT has a DSS of the reader against its reference",
        "table3": "Table 3 is left out: no CT has volumes of the reader and its reference",
        "table4": f"Table 4 is left out: no {of_site} CT has a DSS or volumes of both readers",
        "reproducibility": f"reproducibility is left out: no patient has volumes of a CT of site {of_pair}",
    }[table]


def _tables_with_numbers(made: Sequence[Cell], vocabulary: Vocabulary) -> tuple[tuple[Cell, ...], list[Note]]:
    """The cells of tables that hold a number at all, and notes on those that do not."""
    alive = {cell.address.table for cell in made if cell.n}
    hint = "add such rows to the measurements if the table is wanted"
    notes = [Note("LS-REP-030", _wanting(table, vocabulary), hint) for table in TABLES if table not in alive]
    others = dict.fromkeys(cell.address.table for cell in made if cell.address.table not in {*alive, *TABLES})
    if others:
        notes.append(Note("LS-REP-031", f"beyond the paper, {', '.join(others)} hold no number: left out", hint))
    return tuple(cell for cell in made if cell.address.table in alive), notes
