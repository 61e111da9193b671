"""The output folder of a comparison: tables, forest plots and `compare.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from liverspleen import __version__
from liverspleen.evaluation.measurements.table import Measurements
from liverspleen.evaluation.reporting import case_lists
from liverspleen.evaluation.reporting.case_lists import CaseLists
from liverspleen.evaluation.reporting.cells import PAIRED
from liverspleen.evaluation.reporting.compare.build import ReaderComparison
from liverspleen.evaluation.reporting.compare.forest import forest_figure
from liverspleen.evaluation.reporting.compare.forms import FORMS
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.figures.bland_altman import FORMS as PICTURE_FORMS
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes
from liverspleen.evaluation.reporting.table_layout import laid_out
from liverspleen.evaluation.reporting.writers.output_files import possible_table_files, table_files, write_files
from liverspleen.storage import StrPath, write_json

_FOREST: Final = "forest_"


def write_comparison(
    comparison: ReaderComparison, output: StrPath, *, sources: Sequence[Measurements] = ()
) -> tuple[str, ...]:
    """Write `tables/`, `figures/` and `compare.json` to `output` and return the names of the files.

    There is one forest plot per pair of readers, `forest_1` and so on in the order of the pairs; file names do not
    contain names of readers. `sources` are the compared tables. The same input gives the same bytes. Files of an
    earlier comparison in `output` that are not part of this comparison are removed.
    """
    output, names = Path(output), {"reference": comparison.reference}
    files = table_files(laid_out(comparison.cells, FORMS, names, comparison.vocabulary))
    figures = {}
    if comparison.table("score_subgroups"):
        for number, pair in enumerate(comparison.pairs, 1):
            figures[f"{_FOREST}{number}"] = PAIRED.join(pair)
            figure = forest_figure(comparison, pair)
            files |= {f"figures/{_FOREST}{number}.{form}": figure_bytes(figure, form) for form in PICTURE_FORMS}
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
    return (*sorted(files), "compare.json")


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
        "measurements": [
            {"file": source.source.name if source.source else None, "sha256": source.sha256} for source in sources
        ],
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
