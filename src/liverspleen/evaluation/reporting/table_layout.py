"""How the tables are laid out for people, the same in every format that is written: cells in labelled rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import one_line
from liverspleen.evaluation.reporting.cells import PAIRED, Cell, by_row
from liverspleen.evaluation.reporting.formatting import UNDEFINED
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport
from liverspleen.evaluation.reporting.table_forms import FORMS, Part, TableForm
from liverspleen.organs import listed


@dataclass(frozen=True)
class TableLayout:
    """One table ready to be written: `columns` and the cells of each row stand in the same order.

    Columns and rows are pairs of address and label; a label is one line of printable characters. Addresses stay as they
    are in the data.
    """

    name: str
    title: str
    footnote: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]
    part: Part = "paper"
    shows_n: bool = True


def layouts(report: StatisticalReport) -> tuple[TableLayout, ...]:
    """The tables that the report holds, in the order of `FORMS`.

    Raises:
        ValueError: a cell belongs to a table without an entry in `FORMS`.
    """
    names = {"reader": report.reader, "reference": report.reference, **_site_names(report.vocabulary)}
    return laid_out(report.cells, FORMS, names, report.vocabulary)


def laid_out(
    cells: Sequence[Cell], forms: Mapping[str, TableForm], names: Mapping[str, str | None], vocabulary: Vocabulary
) -> tuple[TableLayout, ...]:
    """The tables that these cells make, in the order of `forms`; `names` are those that titles may hold.

    Raises:
        ValueError: a cell belongs to a table without a form.
    """
    if unknown := {cell.address.table for cell in cells} - forms.keys():
        raise ValueError(f"tables without a form: {', '.join(sorted(unknown))}")
    made = (_layout(form, by_row(cells, name), names, vocabulary) for name, form in forms.items())
    return tuple(layout for layout in made if layout.rows)


def condition_label(condition: str, vocabulary: Vocabulary) -> str:
    """The name of a subgroup for people.

    >>> condition_label("cld", Vocabulary()), condition_label("budd_chiari", Vocabulary())
    ('Non-cirrhotic chronic liver disease', 'budd_chiari')
    """
    return vocabulary.label(condition) if condition else "No condition named"


def site_label(site: str, vocabulary: Vocabulary) -> str:
    """The name of the CTs of a site for people; a site that is not in the vocabulary is printed as it is.

    >>> site_label("external", Vocabulary()), site_label("", Vocabulary()), site_label("abroad", Vocabulary())
    ('External CT', 'Site not stated', 'abroad')
    """
    label = vocabulary.label(site)
    return f"{label[:1].upper()}{label[1:]} CT" if site in vocabulary.sites else label or "Site not stated"


def _site_names(vocabulary: Vocabulary) -> dict[str, str]:
    """What titles say of the sites."""
    labels = [vocabulary.label(site) for site in vocabulary.sites]
    first, second = (*labels, "", "")[:2]
    return {
        "sites": listed("and", labels) if labels else "all",
        "first_site": first,
        "First_site": first[:1].upper() + first[1:],
        "second_site": second,
        "each_site": "each site" if len(labels) <= 2 else f"the sites {first} and {second}",
    }


def _column_labels(form: TableForm, vocabulary: Vocabulary) -> dict[str, str]:
    """The labels of the columns in their order: words of the vocabulary first."""
    words: dict[str, str] = {}
    if form.columns_are == "sites":
        words = {site: site_label(site, vocabulary) for site in vocabulary.sites}
    if form.columns_are == "datasets":
        words = {dataset: vocabulary.label(dataset) for dataset in vocabulary.datasets}
        words |= {
            f"{dataset}_{site}": f"{label}, {vocabulary.label(site)} CT"
            for dataset, label in tuple(words.items())
            for site in vocabulary.pair
        }
    return {**words, **form.columns}


def _layout(
    form: TableForm,
    table: Mapping[str, Mapping[str, Cell]],
    names: Mapping[str, str | None],
    vocabulary: Vocabulary,
) -> TableLayout:
    found = dict.fromkeys(column for cells in table.values() for column in cells)
    labels = _column_labels(form, vocabulary)
    columns = [*(column for column in labels if column in found), *(c for c in found if c not in labels)]
    row_labels = {**vocabulary.labels, **form.rows} if form.by_condition else form.rows
    rows = tuple(
        (row, _label(row_labels, row), tuple(cells.get(column) for column in columns)) for row, cells in table.items()
    )
    return TableLayout(
        name=form.name,
        title=one_line(form.title.format(**names)),
        footnote=_footnote(form, names, (cell for _, _, cells in rows for cell in cells if cell is not None)),
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


def _footnote(form: TableForm, names: Mapping[str, str | None], cells: Iterable[Cell]) -> str:
    """The footnote of the form, and why there are dashes in the table."""
    dashed = (cell for cell in cells if UNDEFINED in (word.strip("();") for word in cell.text.split()))
    reasons = dict.fromkeys(cell.reason for cell in dashed if cell.reason)
    undefined = f" {UNDEFINED}, undefined: {'; '.join(map(str, reasons))}." if reasons else ""
    return one_line((form.footnote.format(**names) + undefined).strip())
