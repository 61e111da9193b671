"""Tables 2-4 of the paper and the percentage RC as cells, followed by the additional tables of `supplement`.

| table | rows | columns |
|---|---|---|
| `table2` | `total`, the conditions, `p` | the organs: `liver, spleen` |
| `table3` | `total`, the conditions | `liver, liver_p, spleen, spleen_p, ratio, ratio_p` |
| `table4` | `dss_liver, dss_spleen, loa_liver, loa_spleen, loa_ratio` | the sites, `p` |
| `reproducibility` | `liver, spleen, ratio` | the readers |

Tables 2 and 3 use the first test dataset of the vocabulary (`test1`), the others the second (`test2`). The columns
`external` and `internal` of Table 4 include all CT scans of that site. The column `p` and the percentage RC use
patients with one CT scan from each of the first two sites. The p value of the rows `loa_*` is the text `NA`, as in the
paper. Conditions have the order of the vocabulary; others follow by name. A case without condition is only in `total`.
The module `cells` describes the content of a cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Final

from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import Split
from liverspleen.cohort.vocabulary import DEVELOPMENT, PAPER, Vocabulary
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.calibration_table import CaseCalibration
from liverspleen.evaluation.measurements.calibration_table import Key as CalibrationKey
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import (
    INDICES,
    Examination,
    PatientPair,
    Readings,
    SurfaceDefinition,
    choose_readers,
    examinations_of,
    pairs_of,
    readings_of,
)
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.metrics.body_size import body_sizes
from liverspleen.evaluation.reporting import cells
from liverspleen.evaluation.reporting.cells import PAIRED, Address, Cell, Table
from liverspleen.evaluation.reporting.cross_validation import cross_validation, validated_cases
from liverspleen.evaluation.reporting.missing_cases import gaps_of
from liverspleen.evaluation.reporting.phantom_notes import phantom_notes
from liverspleen.evaluation.reporting.repeatability import repeatability
from liverspleen.evaluation.reporting.results import Groups, ReportResults, reproducibility_coefficients
from liverspleen.evaluation.reporting.supplement import (
    SCALES,
    Reliability,
    body_size_notes,
    failure_notes,
    reliabilities,
    supplement,
)
from liverspleen.evaluation.reporting.supplement.attenuation import attenuation
from liverspleen.evaluation.statistics.bland_altman import BlandAltman
from liverspleen.evaluation.statistics.differences import Scale
from liverspleen.evaluation.statistics.reproducibility import PercentageRC
from liverspleen.organs import ORGAN_KEYS

TABLES: Final = ("table2", "table3", "table4", "reproducibility")
FEWEST_PAIRS: Final = 6
"""Pairs from which an exact two-sided p value of the Wilcoxon test can be below 0.05: 2 / 2⁶ = 0.031."""


@dataclass(frozen=True)
class Agreement:
    """Agreement on one index and scale over the cases of Table 3, with the condition of each included case.

    `is_cross_validation`: over the validated development cases instead.
    """

    index: str
    result: BlandAltman
    case_ids: tuple[str, ...]
    conditions: tuple[str, ...]
    is_cross_validation: bool = False


@dataclass(frozen=True)
class StatisticalReport:
    """Content of a report: cells, notes, agreements and reliabilities for its figures, the vocabulary of the cohort.

    `surface` is the definition of the surface metrics; None if there are none or several definitions. `n_folds` is the
    number of splits that the tables of the cross-validation have.
    """

    reader: str | None
    reference: str | None
    cells: tuple[Cell, ...]
    notes: tuple[Note, ...]
    agreements: tuple[Agreement, ...]
    n_examinations: int
    n_patients: int
    vocabulary: Vocabulary = PAPER
    surface: SurfaceDefinition | None = None
    n_folds: int = 0
    reliabilities: tuple[Reliability, ...] = ()

    def table(self, name: str) -> Table:
        """Return the cells of one table by row and column; empty if the report does not have the table.

        `table(name).to_frame()` returns a pandas DataFrame.
        """
        return cells.by_row(self.cells, name)


def statistical_report(
    measurements: Measurements,
    *,
    reader: str | None = None,
    reference: str | None = None,
    cohort: Cohort | None = None,
    splits: Mapping[str, Split] | None = None,
    calibrations: Mapping[CalibrationKey, CaseCalibration] | None = None,
) -> StatisticalReport:
    """Return the tables of the paper from measurements, for `reader` against `reference`.

    The default is the only pair of readers that the file compares, or `dla` against `manual`. A table without any
    defined number is omitted, and a case without a row or a value is excluded from its tables; a note reports both. The
    cohort adds strata of slice thickness and the known absence of a spleen to the table of failures, volumes by body
    size, and the attenuation by phase. The splits, folds of a cross-validation or one split, give the development cases
    tables of their own, see `cross_validation`. `calibrations` (`read_calibration`) add the table of calibration and
    its figures.

    Raises:
        InputError: a given reader is not in the measurements, several pairs of readers are compared and none is
            selected, a condition or site has the name of another row or column, or a patient is on the validation side
            of several folds.
    """
    readings = readings_of(measurements)
    vocabulary = readings.vocabulary
    check_names(readings.examinations)
    readers = choose_readers(readings, reader, reference)
    first, notes = examinations_of(readings, 0)
    second, more = examinations_of(readings, 1)
    pairs, unpaired = pairs_of(second, vocabulary)
    notes += phantom_notes(readings.examinations, cohort)
    validated, not_validated = validated_cases(readings.examinations, splits or {})
    notes += more + unpaired + not_validated + _repeated_patients(first)
    notes += _in_no_table(readings, (*first, *second))
    columns = _readers_in_order(readings, second, readers)
    coefficients = reproducibility_coefficients(readings, pairs, columns)
    reproducibility = _reproducibility(coefficients, pairs)
    in_tests = {e.case_id: e for e in (*first, *second)}
    repeated = tuple(in_tests[case] for case in sorted(in_tests))
    repeats, single = repeatability(readings, repeated, pairs, _readers_in_order(readings, repeated, readers))
    attenuations, about_hu = attenuation(readings, first, _readers_in_order(readings, first, readers), cohort)
    notes += single + about_hu
    agreements: tuple[Agreement, ...] = ()
    surfaces: tuple[SurfaceDefinition, ...] = ()
    reliable: tuple[Reliability, ...] = ()
    if readers is None:
        message = "no reader is compared with a reference, which Tables 2 to 4 need"
        hint = "give reader= and reference=, or add rows with a reference to the measurements"
        notes.append(Note("LS-REP-021", message, hint))
        made = [*reproducibility, *repeats, *attenuations]
    else:
        known = () if cohort is None else cohort.cases
        results = ReportResults(
            readings,
            *readers,
            Groups(first, second, pairs, vocabulary),
            coefficients,
            spleen_absent=frozenset(case.case_id for case in known if case.spleen_absent),
            thickness_mm={case.case_id: mm for case in known if (mm := case.slice_thickness_mm) is not None},
            body_sizes=body_sizes(known),
            calibrations=calibrations or {},
        )
        made = [
            *_table2(results),
            *_table3(results),
            *_table4(results),
            *reproducibility,
            *supplement(results),
            *repeats,
            *attenuations,
        ]
        agreements, reliable = _agreements(results), reliabilities(results)
        if validated.examinations:
            added, about, own = cross_validation(results, validated)
            made += added
            notes += about
            agreements += tuple(replace(found, is_cross_validation=True) for found in _agreements(own, SCALES[:1]))
            reliable += tuple(replace(found, is_cross_validation=True) for found in reliabilities(own))
            notes += gaps_of(readings, validated.examinations, readers, scored=True)
        surfaces = results.surfaces((*results.groups.all_first, *(e.case_id for e in validated.examinations)))
        notes += _few_pairs(results) + failure_notes(results) + body_size_notes(results)
        notes += gaps_of(readings, first, readers, scored=True) + gaps_of(readings, second, readers, scored=True)
    others = tuple(name for name in columns if readers is None or name not in readers)
    notes += gaps_of(readings, second, others, scored=False)
    if readers is not None:
        notes += _surface_notes(results)
    datasets = {e.dataset for e in readings.examinations}
    kept, omitted = _tables_with_numbers(made, vocabulary, only_development=datasets == {DEVELOPMENT})
    return StatisticalReport(
        reader=readers[0] if readers else None,
        reference=readers[1] if readers else None,
        cells=kept,
        notes=tuple(notes + omitted),
        agreements=tuple(agreement for agreement in agreements if agreement.result.n),
        n_examinations=len(readings.examinations),
        n_patients=len({e.patient_id for e in readings.examinations}),
        vocabulary=vocabulary,
        surface=surfaces[0] if len(surfaces) == 1 else None,
        n_folds=len(splits or {}),
        reliabilities=reliable,
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


def _agreements(results: ReportResults, scales: Sequence[Scale] = SCALES) -> tuple[Agreement, ...]:
    examinations, cases = results.groups.first, results.groups.all_first
    found = [(index, results.agreement(cases, index, scale)) for scale in scales for index in INDICES]
    return tuple(
        Agreement(
            index,
            result,
            tuple(cases[position] for position in result.positions),
            tuple(examinations[position].condition for position in result.positions),
        )
        for index, result in found
    )


def _readers_in_order(
    readings: Readings, examinations: Sequence[Examination], first: tuple[str, str] | None
) -> tuple[str, ...]:
    """Return the readers of these examinations: the one under test, its reference, then the others by name."""
    cases = {e.case_id for e in examinations}
    present = {reader for case, _, reader in readings.volumes if case in cases}
    leading = [name for name in first or () if name in present]
    return (*leading, *sorted(present.difference(leading)))


def check_names(examinations: Sequence[Examination]) -> None:
    """Reject a condition or site with the name of another row or column, or with the separator of two conditions."""
    if joined := sorted(e.condition for e in examinations if PAIRED in e.condition):
        message = f"condition {joined[0]!r} contains {PAIRED!r}, which separates two conditions in a row"
        raise InputError(Issue("LS-REP-003", message, "rename the condition"))
    if reserved := sorted({e.condition for e in examinations} & {"total", "p"}):
        message = f"condition {', '.join(map(repr, reserved))} is the name of another row of Tables 2 and 3"
        raise InputError(Issue("LS-REP-003", message, "rename the condition"))
    if any(e.site == "p" for e in examinations):
        raise InputError(Issue("LS-REP-003", "site 'p' is the name of another column of Table 4", "rename the site"))


def _in_no_table(readings: Readings, used: Sequence[Examination]) -> list[Note]:
    inside = {e.case_id for e in used}
    outside = [e for e in readings.examinations if e.case_id not in inside and e.dataset != DEVELOPMENT]
    if not outside:
        return []
    datasets = ", ".join(sorted({repr(e.dataset) if e.dataset else "none" for e in outside}))
    message = (
        f"{counted(len(outside), 'CT scan')} of dataset {datasets} {'is' if len(outside) == 1 else 'are'} in no table"
    )
    return [
        Note(
            "LS-REP-016",
            message,
            f"set the dataset to {' or '.join(map(repr, dict.fromkeys(readings.vocabulary.tests)))} if they belong to "
            "one",
            tuple(e.case_id for e in outside),
        )
    ]


def _repeated_patients(examinations: Sequence[Examination]) -> list[Note]:
    number = Counter(e.patient_id for e in examinations)
    repeated = tuple(e.case_id for e in examinations if number[e.patient_id] > 1)
    if not repeated:
        return []
    message = (
        f"Tables 2 and 3 contain {len(repeated)} CT scans of patients with more than one CT scan; intervals of means, "
        "bias, limits and equivalence are computed by patient; the p values of Table 2, the tests between conditions, "
        "ICC, CCC and the tests of the scale assume independent CT scans"
    )
    return [Note("LS-REP-022", message, "keep one CT scan per patient in the dataset of these tables", repeated)]


def _few_pairs(results: ReportResults) -> list[Note]:
    """Return a note if so few patients have two CT scans that no exact test can show a difference: 2 / 2^n > 0.05."""
    n = max(results.sites_test(structure).n for structure in ORGAN_KEYS)
    if not 0 < n < FEWEST_PAIRS:
        return []
    message = (
        f"{counted(n, 'patient')} with two CT scans: the smallest exact two-sided p value of the Wilcoxon test is "
        f"{2 / 2**n:.3g}, so it cannot be below 0.05"
    )
    hint = f"add patients with two CT scans ({FEWEST_PAIRS} or more), or report the difference without a test"
    return [Note("LS-REP-056", message, hint)]


def _surface_notes(results: ReportResults) -> list[Note]:
    """Return notes on surface metrics with several definitions, which are not pooled, and on undefined distances."""
    cases = results.groups.all_first
    definitions = results.surfaces(cases)
    if len(definitions) > 1:
        listed = "; ".join(map(str, definitions))
        message = f"HD95, ASSD and NSD are not included: they have {len(definitions)} definitions ({listed})"
        return [Note("LS-REP-017", message, "measure all cases with one definition")]
    notes = []
    for structure in ORGAN_KEYS if definitions else ():
        dss, hd95 = (results.scores(cases, structure, metric) for metric in ("dss", "hd95_mm"))
        undefined = tuple(case for case in cases if not isnan(dss[case]) and isnan(hd95[case]))
        if undefined:
            found = f"{len(undefined)} of {counted(len(cases), 'CT scan')}"
            message = f"{structure} HD95 and ASSD are undefined in {found}"
            hint = "check these cases; nothing needs to be done if one of the label maps is empty"
            notes.append(Note("LS-REP-018", message, hint, undefined))
    return notes


def _omission(table: str, vocabulary: Vocabulary, *, only_development: bool) -> str:
    """Return the message on an omitted table of the paper."""
    if only_development:
        name = {"reproducibility": "the table of reproducibility"}.get(table, f"Table {table[-1]}")
        return f"{name} is not included: it has the CT scans of a test dataset, and all rows are of {DEVELOPMENT!r}"
    sites, pair = " or ".join(vocabulary.sites), " and ".join(vocabulary.pair)
    return {
        "table2": "Table 2 is not included: no CT scan has a DSS of the reader against its reference",
        "table3": "Table 3 is not included: no CT scan has volumes by the reader and its reference",
        "table4": f"Table 4 is not included: no {sites} CT scan has a DSS or volumes by both readers",
        "reproducibility": "the table of reproducibility is not included: no patient has volumes of two CT scans "
        f"from the sites {pair}",
    }[table]


def _tables_with_numbers(
    made: Sequence[Cell], vocabulary: Vocabulary, *, only_development: bool
) -> tuple[tuple[Cell, ...], list[Note]]:
    """Return the cells of the tables that contain a number, and notes on the other tables."""
    included = {cell.address.table for cell in made if cell.n}
    hint = "add the missing rows to the measurements if you need the table"
    omitted = [table for table in TABLES if table not in included]
    reasons = {table: _omission(table, vocabulary, only_development=only_development) for table in omitted}
    notes = [Note("LS-REP-030", reason, hint) for reason in reasons.values()]
    others = dict.fromkeys(cell.address.table for cell in made if cell.address.table not in {*included, *TABLES})
    if others:
        message = f"additional tables without a defined value are not included: {', '.join(others)}"
        notes.append(Note("LS-REP-031", message, "add the missing rows to the measurements if you need these tables"))
    return tuple(cell for cell in made if cell.address.table in included), notes
