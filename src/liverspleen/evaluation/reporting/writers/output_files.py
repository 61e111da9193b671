"""Files of an output folder: tables in all formats; files of an earlier run are removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from liverspleen.evaluation.reporting.table_layout import TableLayout
from liverspleen.evaluation.reporting.writers.csv_markdown import csv_text, markdown_text
from liverspleen.evaluation.reporting.writers.latex import latex_document, latex_text
from liverspleen.evaluation.reporting.writers.word import docx_bytes
from liverspleen.storage import complete_file

_WRITERS: Final[dict[str, Callable[[TableLayout], str]]] = {"csv": csv_text, "md": markdown_text, "tex": latex_text}
_SHARED: Final = ("tables/tables.tex", "tables/tables.docx")


def table_files(tables: Sequence[TableLayout]) -> dict[str, bytes]:
    """Return each table as CSV, Markdown and LaTeX, and all tables as one LaTeX and one Word file; content by path."""
    if not tables:
        return {}
    files = {
        f"tables/{table.name}.{form}": write(table).encode() for table in tables for form, write in _WRITERS.items()
    }
    together = (latex_document(tables).encode(), docx_bytes(tables))
    return {**files, **dict(zip(_SHARED, together, strict=True))}


def possible_table_files(names: Iterable[str]) -> list[str]:
    """Return the paths of all files that `table_files` can return for tables of these names."""
    return [*(f"tables/{name}.{form}" for name in names for form in _WRITERS), *_SHARED]


def write_files(output: Path, files: Mapping[str, bytes], *, possible: Iterable[str]) -> None:
    """Write the files to `output`, each complete or not at all; remove all other files of `possible`."""
    for name in possible:
        if name not in files:
            (output / name).unlink(missing_ok=True)
    for name, content in files.items():
        with complete_file(output / name) as temporary:
            temporary.write_bytes(content)
