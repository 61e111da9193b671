"""Parts of a report that need the cohort: Table 1, Figure 1 and, with label maps, Figure 3."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import Split
from liverspleen.errors import counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import Examination, Readings, readings_of
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.flow import Exclusions, Flow, flow_notes, flow_of
from liverspleen.evaluation.reporting.overlay import Overlay, overlays, representative_cases
from liverspleen.evaluation.reporting.table1 import characteristics
from liverspleen.evaluation.reporting.viewer import ViewerCases, viewer_cases, worst_cases
from liverspleen.organs import ORGAN_KEYS, Structure
from liverspleen.storage import StrPath


@dataclass(frozen=True)
class Study:
    """The cohort and the optional inputs of Table 1, Figures 1 and 3, and the tables of the cross-validation.

    `splits` are the folds of a cross-validation, or one split, by name, see `read_splits`.
    `labels` is the folder of the label maps of the reader under test; `label_values` gives the meaning of their voxel
    values if they come from another system. `cases` are the cases of Figure 3; by default one representative case per
    condition. `viewer_cases` is the number of cases in the viewer of slices, those with the lowest DSS.
    """

    cohort: Cohort
    splits: Mapping[str, Split] = field(default_factory=dict)
    exclusions: Exclusions | None = None
    labels: StrPath | None = None
    label_values: Mapping[int, Structure] | None = None
    cases: tuple[str, ...] = ()
    viewer_cases: int = 5

    @property
    def folds(self) -> dict[str, str]:
        """The fold of a cross-validation that validates a development case, by case; empty without folds."""
        if len(self.splits) < 2:
            return {}
        fold_of = {patient: fold for fold, split in self.splits.items() for patient in split.validation}
        known = (case for case in self.cohort.cases if case.is_development and case.patient_id in fold_of)
        return {case.case_id: fold_of[case.patient_id] for case in known}


@dataclass(frozen=True)
class StudyResults:
    """Cells of Table 1, counts of Figure 1, slices of Figure 3, and notes on them."""

    cells: tuple[Cell, ...] = ()
    flow: Flow | None = None
    overlays: tuple[Overlay, ...] = ()
    notes: tuple[Note, ...] = ()


def study_results(
    study: Study | None, measurements: Measurements, *, reader: str | None, reference: str | None
) -> StudyResults:
    """Return what `study` adds to the report on `reader` against `reference`; without a study, only a note."""
    if study is None or not study.cohort.cases:
        message = "Table 1 and Figures 1 and 3, and the viewer of slices, are not included: they need the cohort"
        hint = (
            "run liverspleen report again with cohort=cohort.csv, and with labels=FOLDER (the predicted label maps) "
            "for Figure 3 and the viewer"
        )
        return StudyResults(notes=(Note("LS-REP-040", message, hint),))
    readings = readings_of(measurements)
    table = characteristics(study.cohort)
    flow = flow_of(study.cohort, splits=study.splits, exclusions=study.exclusions)
    shown, notes = _slices(study, readings, reader, reference)
    return StudyResults(
        cells=table.cells,
        flow=flow,
        overlays=shown,
        notes=(*table.notes, *flow_notes(flow, study.cohort), *_mismatches(study.cohort, readings), *notes),
    )


def study_viewer(study: Study, readings: Readings, readers: tuple[str, str], room: int) -> ViewerCases:
    """Return the cases of the viewer of slices, with at most `room` bytes; empty without label maps."""
    cases = worst_cases(readings, readings.examinations, *readers, study.viewer_cases)
    if study.labels is None or not cases:
        return ViewerCases()
    return viewer_cases(study.cohort, Path(study.labels), cases, values=study.label_values, most_bytes=room)


def _slices(
    study: Study, readings: Readings, reader: str | None, reference: str | None
) -> tuple[tuple[Overlay, ...], tuple[Note, ...]]:
    if study.labels is None:
        message = "Figure 3 and the viewer of slices are not included: they need the predicted label maps"
        hint = "run liverspleen report again with labels=FOLDER, the folder of these label maps"
        return (), (Note("LS-REP-041", message, hint),)
    cases, measured = study.cases, {}
    if reader is not None and reference is not None:
        cases = cases or representative_cases(readings, reader, reference)
        scores = {(case, key): readings.score(case, key, reader, reference) for case in cases for key in ORGAN_KEYS}
        measured = {key: score for key, score in scores.items() if not math.isnan(score)}
    if not cases:
        message = "Figure 3 is not included: no CT scan of Table 2 has a DSS, which selects the representative cases"
        hint = "run liverspleen report again with cases=[A,B], the ids of the cases to show"
        return (), (Note("LS-REP-041", message, hint),)
    found = overlays(study.cohort, Path(study.labels), cases, values=study.label_values, measured=measured)
    return found.shown, found.notes


def _mismatches(cohort: Cohort, readings: Readings) -> Iterator[Note]:
    """Yield notes on differences between the examinations of the cohort and of the measurements."""
    known = {c.case_id: Examination(c.case_id, c.patient_id, c.dataset, c.condition, c.site) for c in cohort.cases}
    measured = {e.case_id: e for e in readings.examinations}
    found = (
        ("in the measurements but not in the cohort", measured.keys() - known.keys()),
        (
            "of test datasets in the cohort but not in the measurements",
            {c.case_id for c in cohort.cases if not c.is_development} - measured.keys(),
        ),
        (
            "with different patient, dataset, condition or site in the cohort and in the measurements",
            {case for case in known.keys() & measured.keys() if known[case] != measured[case]},
        ),
    )
    for message, cases in found:
        if cases:
            hint = "give the cohort that was measured, or measure again"
            yield Note("LS-REP-042", f"{counted(len(cases), 'CT scan')} {message}", hint, tuple(sorted(cases)))
