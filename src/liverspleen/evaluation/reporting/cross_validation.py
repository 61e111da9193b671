"""Tables of development cases that were segmented by a model that was not trained on them.

| table | rows | columns |
|---|---|---|
| `cross_validation` | `dss_liver, dss_spleen, loa_liver, loa_spleen, loa_ratio` | the folds, `total` |
| `cross_validation_means`, `…_failures`, `…_surfaces`, `…_calibration` | as in `means` etc. | structure |

A fold contains the patients on the validation side of its split. A single split has the column `total` only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from liverspleen.cohort.split import Split
from liverspleen.cohort.vocabulary import DEVELOPMENT
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import INDICES, Examination
from liverspleen.evaluation.reporting import cells
from liverspleen.evaluation.reporting.cells import Address, Cell
from liverspleen.evaluation.reporting.results import Cases, Groups, ReportResults
from liverspleen.evaluation.reporting.supplement.calibration import calibration
from liverspleen.evaluation.reporting.supplement.failures import failure_notes, failures
from liverspleen.evaluation.reporting.supplement.scores import means, surfaces
from liverspleen.organs import ORGAN_KEYS

CROSS_VALIDATION: Final = "cross_validation"


@dataclass(frozen=True)
class ValidatedCases:
    """Examinations of the development dataset on the validation side of a split, in all and by fold."""

    examinations: tuple[Examination, ...] = ()
    folds: Mapping[str, Cases] | None = None


def validated_cases(
    examinations: tuple[Examination, ...], splits: Mapping[str, Split]
) -> tuple[ValidatedCases, list[Note]]:
    """Return the measured development cases by the fold that validates their patient; a note lists the others.

    Raises:
        InputError: LS-SPL-015 a patient is on the validation side of several folds.
    """
    fold_of: dict[str, str] = {}
    issues = []
    for fold, split in splits.items():
        for patient in split.validation:
            if (other := fold_of.setdefault(patient, fold)) != fold:
                message = f"patient '{patient}' is on the validation side of {other} and {fold}, expected one of them"
                issues.append(Issue("LS-SPL-015", message, "create the folds again with liverspleen split folds="))
    if issues:
        raise InputError(issues)
    development = [e for e in examinations if e.dataset == DEVELOPMENT]
    validated = tuple(e for e in development if e.patient_id in fold_of)
    notes = []
    if others := tuple(e.case_id for e in development if e.patient_id not in fold_of):
        are = "is" if len(others) == 1 else "are"
        known = "no split has them on its validation side" if splits else "split= is not given"
        message = f"{counted(len(others), 'development case')} {are} in no table: {known}"
        hint = (
            "give cohort= and split= (the folder with all folds, or one split) if the model of each case was not "
            "trained on it"
        )
        notes.append(Note("LS-REP-058", message, hint, others))
    folds = {name: tuple(e.case_id for e in validated if fold_of[e.patient_id] == name) for name in splits}
    return ValidatedCases(validated, folds if len(folds) > 1 else None), notes


def cross_validation(results: ReportResults, cases: ValidatedCases) -> tuple[list[Cell], list[Note], ReportResults]:
    """Return the cells and notes on the validated cases, and the results behind them."""
    own = replace(results, groups=Groups(cases.examinations, (), (), results.readings.vocabulary))
    found = [*means(own), *failures(own), *surfaces(own), *calibration(own)]
    made = [replace(cell, address=_renamed(cell.address)) for cell in found]
    return [*_by_fold(own, cases), *made], failure_notes(own), own


def _renamed(address: Address) -> Address:
    return replace(address, table=f"{CROSS_VALIDATION}_{address.table}")


def _by_fold(results: ReportResults, cases: ValidatedCases) -> Iterator[Cell]:
    columns = {**(cases.folds or {}), "total": results.groups.all_first}
    for organ in ORGAN_KEYS:
        for column, inside in columns.items():
            yield cells.dss_cell(Address(CROSS_VALIDATION, f"dss_{organ}", column), results.scores(inside, organ))
    for index in INDICES:
        for column, inside in columns.items():
            result = results.agreement(inside, index)
            yield cells.loa_cell(Address(CROSS_VALIDATION, f"loa_{index}", column), result, inside)
