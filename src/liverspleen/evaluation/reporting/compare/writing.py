"""The output folder of a comparison: tables, forest plots, `compare.json` and the page `compare.html`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from liverspleen import __version__
from liverspleen.errors import one_line
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.reporting import case_lists
from liverspleen.evaluation.reporting.case_lists import CaseLists
from liverspleen.evaluation.reporting.case_table import case_table
from liverspleen.evaluation.reporting.cells import PAIRED
from liverspleen.evaluation.reporting.compare.build import ReaderComparison
from liverspleen.evaluation.reporting.compare.forest import forest_figure
from liverspleen.evaluation.reporting.compare.forms import FORMS
from liverspleen.evaluation.reporting.definitions import READER_MEANINGS, RESEARCH_USE
from liverspleen.evaluation.reporting.figures import Picture
from liverspleen.evaluation.reporting.figures.bland_altman import FORMS as PICTURE_FORMS
from liverspleen.evaluation.reporting.figures.bland_altman import Form, figure_bytes
from liverspleen.evaluation.reporting.page import html_page
from liverspleen.evaluation.reporting.table_layout import TableLayout, laid_out
from liverspleen.evaluation.reporting.viewer import ViewerCases
from liverspleen.evaluation.reporting.writers.output_files import possible_table_files, table_files, write_files
from liverspleen.storage import StrPath, write_json, write_text

_FOREST: Final = "forest_"


def write_comparison(
    comparison: ReaderComparison, output: StrPath, *, sources: Sequence[Measurements] = ()
) -> tuple[str, ...]:
    """Write `tables/`, `figures/`, `compare.json` and `compare.html` to `output` and return the names of the files.

    There is one forest plot per pair of readers, `forest_1` and so on in the order of the pairs; file names do not
    contain names of readers. `sources` are the compared tables. The same input gives the same bytes. Files of an
    earlier comparison in `output` that are not part of this comparison are removed.
    """
    output, names = Path(output), {"reference": comparison.reference}
    tables = laid_out(comparison.cells, FORMS, names, comparison.vocabulary)
    files = table_files(tables)
    figures, shown = {}, []
    if comparison.table("score_subgroups"):
        for number, pair in enumerate(comparison.pairs, 1):
            figures[f"{_FOREST}{number}"] = PAIRED.join(pair)
            figure = forest_figure(comparison, pair)
            forms = {form: figure_bytes(figure, form) for form in PICTURE_FORMS}
            files |= {f"figures/{_FOREST}{number}.{form}": content for form, content in forms.items()}
            shown.append(_picture(f"{_FOREST}{number}", pair, comparison.reference, forms))
    earlier = [
        f"figures/{path.name}"
        for form in PICTURE_FORMS
        for path in (output / "figures").glob(f"{_FOREST}*.{form}")
        if path.stem.removeprefix(_FOREST).isdigit()
    ]
    lists = CaseLists(comparison.cells)
    files |= lists.files()
    write_files(output, files, possible=[*possible_table_files(FORMS), *earlier, case_lists.FILE])
    write_json(output / "compare.json", _json(comparison, lists, sources, figures, sorted(files)))
    write_text(output / "compare.html", _page(comparison, sources, tables, shown))
    return (*sorted(files), "compare.json", "compare.html")


def _picture(name: str, pair: tuple[str, str], reference: str, files: dict[Form, bytes]) -> Picture:
    first, second = map(one_line, pair)
    return Picture(
        name,
        f"DSS against {one_line(reference)}: {first} minus {second}, by condition",
        "Hodges-Lehmann shift with its 95 % confidence interval. Right of zero, the first reader has the higher DSS.",
        f"Forest plot of the shift of the DSS by condition, {first} minus {second}. The numbers are in the table of "
        "differences between readers by condition.",
        files,
    )


def _page(
    comparison: ReaderComparison,
    sources: Sequence[Measurements],
    tables: Sequence[TableLayout],
    figures: Sequence[Picture],
) -> str:
    cases = case_table(comparison.readings, comparison.examinations, comparison.readers, comparison.reference)
    return html_page(
        "compare.html.j2",
        cases=cases,
        figures=figures,
        viewer=ViewerCases(),
        comparison=comparison,
        sources=_sources(sources),
        reader_meanings={name: READER_MEANINGS[name] for name in comparison.readers if name in READER_MEANINGS},
        headlines=list(_headlines(comparison)),
        parts=[("tables", "Tables", tables)],
        definitions={},
    )


def _headlines(comparison: ReaderComparison) -> Iterator[tuple[str, str, str]]:
    """Yield label, shift and p value of the DSS of each organ and pair of readers."""
    for row, cells in comparison.table("score_differences").items():
        organ, _, pair = row.partition(":")
        shift, p = cells["shift"], cells["p_holm"]
        first, second = pair.split(PAIRED)
        yield f"DSS, {organ}: {first} − {second}", shift.text, f"p (Holm) {p.text}, n = {shift.n}"


def _sources(sources: Sequence[Measurements]) -> list[dict[str, str | None]]:
    return [{"file": source.source.name if source.source else None, "sha256": source.sha256} for source in sources]


def _json(
    comparison: ReaderComparison,
    lists: CaseLists,
    sources: Sequence[Measurements],
    figures: dict[str, str],
    files: list[str],
) -> dict[str, Any]:
    return {
        "generator": {"name": "liverspleen", "version": __version__},
        "notice": RESEARCH_USE,
        "measurements": _sources(sources),
        "examinations": comparison.n_examinations,
        "patients": comparison.n_patients,
        "readers": list(comparison.readers),
        "reference": comparison.reference,
        "compared": {name: {"n": len(cases), "cases": list(cases)} for name, cases in comparison.common.items()},
        "cells": [lists.to_dict(cell) for cell in comparison.cells],
        "figures": figures,
        "notes": [note.to_dict() for note in comparison.notes],
        "files": files,
    }
