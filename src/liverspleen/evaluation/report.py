"""The report folder: tables, figures, `report.json` and one self-contained page."""

from __future__ import annotations

import base64
from importlib import resources
from pathlib import Path
from typing import Any, Final

from liverspleen import __version__
from liverspleen.evaluation.definitions import DEFINITIONS, RESEARCH_USE
from liverspleen.evaluation.figures import FORMS, Form, bland_altman_figure, figure_bytes
from liverspleen.evaluation.layout import INDEX_LABELS, layouts
from liverspleen.evaluation.measurements import Measurements
from liverspleen.evaluation.readings import INDICES
from liverspleen.evaluation.table_files import csv_text, markdown_text
from liverspleen.evaluation.tables import TABLES, StatisticalReport, statistical_report
from liverspleen.storage import complete_file, write_json, write_text

# Shown at the top of the page: address, label, unit behind the text.
_HEADLINES: Final = (
    (("table2", "total", "liver"), "DSS, liver", ""),
    (("table2", "total", "spleen"), "DSS, spleen", ""),
    (("table3", "total", "liver"), "95 % LOA, liver volume", " %"),
    (("table3", "total", "spleen"), "95 % LOA, spleen volume", " %"),
)


def write_report(
    measurements: Measurements, output: Path, *, reader: str | None = None, reference: str | None = None
) -> StatisticalReport:
    """Write `tables/`, `figures/`, `report.json` and `report.html` below `output`; what they hold is returned.

    The same measurements give the same bytes. Tables and figures that an earlier report left there and this one does
    not make are removed.

    Raises:
        Refused: as `statistical_report`.
    """
    report = statistical_report(measurements, reader=reader, reference=reference)
    figures = _figures(report)
    files: dict[str, bytes] = {}
    for layout in layouts(report):
        files[f"tables/{layout.name}.csv"] = csv_text(layout).encode()
        files[f"tables/{layout.name}.md"] = markdown_text(layout).encode()
    files |= {f"figures/{name}.{form}": content for name, forms in figures.items() for form, content in forms.items()}
    for name in _possible_files():
        if name not in files:
            (output / name).unlink(missing_ok=True)
    for name, content in files.items():
        with complete_file(output / name) as temporary:
            temporary.write_bytes(content)
    write_json(output / "report.json", _json(report, measurements, sorted(files)))
    write_text(output / "report.html", _page(report, measurements, figures))
    return report


def _figures(report: StatisticalReport) -> dict[str, dict[Form, bytes]]:
    """Bland-Altman figures by name and form."""
    made = {}
    for agreement in report.agreements:
        figure = bland_altman_figure(agreement, str(report.reader), str(report.reference))
        made[_figure_name(agreement.index)] = {form: figure_bytes(figure, form) for form in FORMS}
    return made


def _figure_name(index: str) -> str:
    return f"bland_altman_{index}"


def _possible_files() -> list[str]:
    """Every table and figure that a report may hold."""
    tables = [f"tables/{table}.{form}" for table in TABLES for form in ("csv", "md")]
    return tables + [f"figures/{_figure_name(index)}.{form}" for index in INDICES for form in FORMS]


def _json(report: StatisticalReport, measurements: Measurements, files: list[str]) -> dict[str, Any]:
    return {
        "generator": {"name": "liverspleen", "version": __version__},
        "notice": RESEARCH_USE,
        "measurements": _source(report, measurements),
        "reader": report.reader,
        "reference": report.reference,
        "methods": DEFINITIONS,
        "cells": [cell.to_dict() for cell in report.cells],
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


def _page(report: StatisticalReport, measurements: Measurements, figures: dict[str, dict[Form, bytes]]) -> str:
    from jinja2 import Environment, StrictUndefined

    template = resources.files("liverspleen.evaluation").joinpath("templates/report.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    cells = {(cell.address.table, cell.address.row, cell.address.column): cell for cell in report.cells}
    return environment.from_string(template).render(
        report=report,
        source=_source(report, measurements),
        version=__version__,
        notice=RESEARCH_USE,
        headlines=[(label, cells[a], unit) for a, label, unit in _HEADLINES if a in cells and cells[a].n],
        tables=layouts(report),
        figures=[
            (
                INDEX_LABELS[agreement.index],
                agreement.result.n,
                _data_uri(figures[_figure_name(agreement.index)]["svg"]),
            )
            for agreement in report.agreements
        ],
        definitions=DEFINITIONS,
    )


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
