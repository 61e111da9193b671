"""The report folder: tables, figures, `report.json` and a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from liverspleen import __version__
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.calibration_table import CaseCalibration
from liverspleen.evaluation.measurements.calibration_table import Key as CalibrationKey
from liverspleen.evaluation.measurements.readings import readings_of
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.reporting import case_lists
from liverspleen.evaluation.reporting.case_lists import CaseLists
from liverspleen.evaluation.reporting.case_table import CaseTable, case_table
from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.cross_validation import CROSS_VALIDATION
from liverspleen.evaluation.reporting.definitions import DEFINITIONS, READER_MEANINGS, RESEARCH_USE
from liverspleen.evaluation.reporting.figures import PICTURES, Picture, pictures
from liverspleen.evaluation.reporting.figures.bland_altman import FORMS as PICTURE_FORMS
from liverspleen.evaluation.reporting.formatting import LOA_DIGITS, fixed
from liverspleen.evaluation.reporting.page import MOST_BYTES, VIEWER_BYTES, html_page
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport, statistical_report
from liverspleen.evaluation.reporting.study import Study, StudyResults, study_results, study_viewer
from liverspleen.evaluation.reporting.table_form import PARTS
from liverspleen.evaluation.reporting.table_forms import FORMS
from liverspleen.evaluation.reporting.table_layout import TableLayout, layouts
from liverspleen.evaluation.reporting.viewer import ViewerCases
from liverspleen.evaluation.reporting.writers.output_files import possible_table_files, table_files, write_files
from liverspleen.formats import REPORT
from liverspleen.organs import ORGAN_KEYS
from liverspleen.records import write_record
from liverspleen.storage import StrPath, write_text

# Numbers at the top of the page: address and label.
_HEADLINES: Final = (
    *((("table2", "total", key), f"DSS, {key}") for key in ORGAN_KEYS),
    *((("table3", "total", key), f"95 % LOA, {key} volume") for key in ORGAN_KEYS),
    *(((CROSS_VALIDATION, f"dss_{key}", "total"), f"DSS, {key}, development") for key in ORGAN_KEYS),
    *(((CROSS_VALIDATION, f"loa_{key}", "total"), f"95 % LOA, {key} volume, development") for key in ORGAN_KEYS),
)


def write_report(
    measurements: Measurements,
    output: StrPath,
    *,
    reader: str | None = None,
    reference: str | None = None,
    study: Study | None = None,
    calibrations: Mapping[CalibrationKey, CaseCalibration] | None = None,
) -> StatisticalReport:
    """Write `tables/`, `figures/`, `report.json` and `report.html` to `output` and return their content.

    Cells with more than 2000 cases have them in `cases.csv`, see `case_lists`.
    A `study` adds Table 1, Figure 1 and Figure 3, and `calibrations` (`read_calibration`) the table of calibration and
    its figures. The same input gives the same bytes. Tables and figures of an
    earlier report in `output` that are not part of this report are removed.

    Raises:
        InputError: LS-REP-059 no table contains a number; as `statistical_report`.
    """
    output = Path(output)
    cohort, splits = (None, {}) if study is None else (study.cohort, study.splits)
    report = statistical_report(
        measurements, reader=reader, reference=reference, cohort=cohort, splits=splits, calibrations=calibrations
    )
    added = study_results(study, measurements, reader=report.reader, reference=report.reference)
    if not (report.cells or added.cells):
        hint = "follow the hints of the lines above; see liverspleen report --help for the columns that it needs"
        nothing = Issue("LS-REP-059", "no table contains a number, so there is no report", hint)
        raise InputError([*(note.issue for note in report.notes), nothing])
    report = replace(report, cells=added.cells + report.cells, notes=report.notes + added.notes)
    readings = readings_of(measurements)
    readers = None if report.reader is None or report.reference is None else (report.reader, report.reference)
    cases = case_table(
        readings,
        readings.examinations,
        readings.readers if readers is None else readers[:1],
        report.reference,
        folds=None if study is None else study.folds,
    )
    figures = pictures(report, added)
    tables = layouts(report)
    files = table_files(tables)
    files |= {f"figures/{made.name}.{form}": content for made in figures for form, content in made.files.items()}
    lists = CaseLists(report.cells)
    files |= lists.files()
    page = partial(_page, measurements=measurements, tables=tables, cases=cases)
    viewer = ViewerCases()
    if study is not None and study.labels is not None and readers is not None:
        without = page(report, figures=figures, viewer=viewer)
        viewer = study_viewer(study, readings, readers, MOST_BYTES - VIEWER_BYTES - len(without.encode()))
        report = replace(report, notes=report.notes + viewer.notes)
    write_files(output, files, possible=_possible_files())
    write_record(output / "report.json", _json(report, lists, added, measurements, sorted(files)))
    write_text(output / "report.html", page(report, figures=figures, viewer=viewer))
    return report


def _possible_files() -> list[str]:
    """Return the names of all files of tables, figures and lists of cases that a report can contain."""
    figures = [f"figures/{name}.{form}" for name in PICTURES for form in PICTURE_FORMS]
    return [*possible_table_files(FORMS), *figures, case_lists.FILE]


def _json(
    report: StatisticalReport, lists: CaseLists, added: StudyResults, measurements: Measurements, files: list[str]
) -> dict[str, Any]:
    return {
        "format": REPORT.number,
        "generator": {"name": "liverspleen", "version": __version__},
        "notice": RESEARCH_USE,
        "measurements": _source(report, measurements),
        "reader": report.reader,
        "reference": report.reference,
        "methods": DEFINITIONS,
        "cells": [lists.to_dict(cell) for cell in report.cells],
        "flow": None if added.flow is None else added.flow.to_dict(),
        "slices": [overlay.to_dict() for overlay in added.overlays],
        "notes": [note.to_dict() for note in report.notes],
        "files": files,
    }


def _source(report: StatisticalReport, measurements: Measurements) -> dict[str, Any]:
    return {
        "file": measurements.source.name if measurements.source else None,
        "sha256": measurements.sha256,
        "examinations": report.n_examinations,
        "patients": report.n_patients,
    }


def _page(
    report: StatisticalReport,
    measurements: Measurements,
    tables: Sequence[TableLayout],
    figures: Sequence[Picture],
    cases: CaseTable,
    viewer: ViewerCases,
) -> str:
    cells = {(cell.address.table, cell.address.row, cell.address.column): cell for cell in report.cells}
    readers = set(measurements.table["reader"])
    return html_page(
        "report.html.j2",
        cases=cases,
        figures=figures,
        viewer=viewer,
        report=report,
        source=_source(report, measurements),
        reader_meanings={name: meaning for name, meaning in READER_MEANINGS.items() if name in readers},
        headlines=[(label, *_headline(cells[a])) for a, label in _HEADLINES if a in cells and cells[a].n],
        parts=[(part, heading, [t for t in tables if t.part == part]) for part, heading in PARTS.items()],
        definitions=DEFINITIONS,
    )


def _headline(cell: Cell) -> tuple[str, str]:
    """Return the number at the top of the page and the line below it: mean ± SD of the DSS, or bias and limits."""
    if "mean" in cell.values:
        number, _, limits = cell.text.partition(" (")
        return number, f"range {limits.rstrip(')')}, n = {cell.n}"
    bias, lower, upper = (fixed(cell.values[name], LOA_DIGITS) for name in ("bias", "loa_lower", "loa_upper"))
    return f"{bias} % ({lower} to {upper} %)", f"n = {cell.n}"
