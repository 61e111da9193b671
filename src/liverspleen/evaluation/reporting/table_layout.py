"""Layout of the tables for all output formats: titles, labelled rows and columns, footnotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import one_line
from liverspleen.evaluation.reporting.cells import PAIRED, Cell, by_row
from liverspleen.evaluation.reporting.formatting import UNDEFINED
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport
from liverspleen.evaluation.reporting.table_form import Part, TableForm
from liverspleen.evaluation.reporting.table_forms import FORMS
from liverspleen.organs import listed


@dataclass(frozen=True)
class TableLayout:
    """One table for the writers; the cells of each row have the order of `columns`.

    A column is a pair (address, label), a row a triple (address, label, cells). A label is one line of printable
    characters; an address is equal to the name in the data.
    """

    name: str
    title: str
    footnote: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]
    part: Part = "paper"
    shows_n: bool = True


def layouts(report: StatisticalReport) -> tuple[TableLayout, ...]:
    """Return the tables of the report in the order of `FORMS`.

    Raises:
        ValueError: a cell belongs to a table without an entry in `FORMS`.
    """
    tolerance = None if report.surface is None else report.surface.tolerance_mm
    names = {
        "reader": report.reader,
        "reference": report.reference,
        "tolerance": "" if tolerance is None else f" at a tolerance of {tolerance:g} mm",
        "validation": f"{report.n_folds}-fold cross-validation" if report.n_folds > 1 else "validation patients",
        **_site_names(report.vocabulary),
    }
    return laid_out(report.cells, FORMS, names, report.vocabulary)


def laid_out(
    cells: Sequence[Cell], forms: Mapping[str, TableForm], names: Mapping[str, str | None], vocabulary: Vocabulary
) -> tuple[TableLayout, ...]:
    """Return the tables of these cells in the order of `forms`; `names` replace the placeholders of titles.

    Raises:
        ValueError: a cell belongs to a table without a form.
    """
    if unknown := {cell.address.table for cell in cells} - forms.keys():
        raise ValueError(f"tables without a form: {', '.join(sorted(unknown))}")
    made = (_layout(form, by_row(cells, name), names, vocabulary) for name, form in forms.items())
    return tuple(layout for layout in made if layout.rows)


def condition_label(condition: str, vocabulary: Vocabulary) -> str:
    """Return the label of a condition.

    >>> condition_label("cld", Vocabulary()), condition_label("budd_chiari", Vocabulary())
    ('Non-cirrhotic chronic liver disease', 'budd_chiari')
    """
    return vocabulary.label(condition) if condition else "Condition not stated"


def site_label(site: str, vocabulary: Vocabulary) -> str:
    """Return the label of the CT scans of a site; a site outside the vocabulary is its own label.

    >>> site_label("external", Vocabulary()), site_label("", Vocabulary()), site_label("abroad", Vocabulary())
    ('External CT', 'Site not stated', 'abroad')
    """
    label = vocabulary.label(site)
    return f"{label[:1].upper()}{label[1:]} CT" if site in vocabulary.sites else label or "Site not stated"


def _site_names(vocabulary: Vocabulary) -> dict[str, str]:
    """Return the placeholders for the sites in titles and footnotes."""
    labels = [vocabulary.label(site) for site in vocabulary.sites]
    first, second = (*labels, "", "")[:2]
    return {
        "sites": listed("and", labels) if labels else "all",
        "first_site": first,
        "second_site": second,
        "each_site": "each site" if len(labels) <= 2 else f"the sites {first} and {second}",
    }


def _column_labels(form: TableForm, vocabulary: Vocabulary, found: Iterable[str]) -> dict[str, str]:
    """Return the labels of the columns in their order; those from the vocabulary, and the folds, come first."""
    labels: dict[str, str] = {}
    if form.columns_are == "folds":
        labels = {name: f"Fold {name.removeprefix('fold')}" for name in found if name not in form.columns}
    if form.columns_are == "sites":
        labels = {site: site_label(site, vocabulary) for site in vocabulary.sites}
    if form.columns_are == "datasets":
        labels = {dataset: vocabulary.label(dataset) for dataset in vocabulary.datasets}
        labels |= {
            f"{dataset}_{site}": f"{label}, {vocabulary.label(site)} CT"
            for dataset, label in tuple(labels.items())
            for site in vocabulary.pair
        }
    return {**labels, **form.columns}


def _layout(
    form: TableForm,
    table: Mapping[str, Mapping[str, Cell]],
    names: Mapping[str, str | None],
    vocabulary: Vocabulary,
) -> TableLayout:
    found = dict.fromkeys(column for cells in table.values() for column in cells)
    labels = _column_labels(form, vocabulary, found)
    columns = [*(column for column in labels if column in found), *(c for c in found if c not in labels)]
    row_labels = {**vocabulary.labels, **form.rows} if form.by_condition else form.rows
    rows = tuple(
        (row, _label(row_labels, row), tuple(cells.get(column) for column in columns)) for row, cells in table.items()
    )
    return TableLayout(
        name=form.name,
        title=one_line(form.title.format(**names)),
        footnote=_footnote(form, names, table),
        columns=tuple((column, _label(labels, column)) for column in columns),
        rows=rows,
        part=form.part,
        shows_n=form.shows_n,
    )


def _label(labels: Mapping[str, str], address: str) -> str:
    head, colon, tail = address.partition(":")
    if address not in labels and colon and head in labels:
        parts = (labels.get(part, part) for part in tail.split(PAIRED))
        return one_line(f"{labels[head]}: {PAIRED.join(parts)}")
    return one_line(labels.get(address, address))


def _footnote(form: TableForm, names: Mapping[str, str | None], table: Mapping[str, Mapping[str, Cell]]) -> str:
    """Return the footnote of the form, followed by notes on its rows and the reasons for the dashes in the table."""
    parts = {part for row in table for part in row.split(":")}
    text = " ".join([form.footnote, *(note for part, note in form.row_notes.items() if part in parts)]).format(**names)
    cells = (cell for row in table.values() for cell in row.values())
    dashed = (cell for cell in cells if UNDEFINED in (part.strip("();") for part in cell.text.split()))
    reasons = dict.fromkeys(cell.reason for cell in dashed if cell.reason)
    undefined = f" {UNDEFINED}: undefined ({'; '.join(map(str, reasons))})." if reasons else ""
    return one_line((text + undefined).strip())
