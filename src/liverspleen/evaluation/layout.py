"""How the tables are laid out for people: titles, labels and footnotes, the same in every form that is written.

A table is added by an entry in `FORMS`; its cells carry the entry's name as `address.table`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from liverspleen.errors import one_line
from liverspleen.evaluation.cells import Cell
from liverspleen.evaluation.formatting import UNDEFINED
from liverspleen.evaluation.tables import StatisticalReport

INDEX_LABELS: Final = {"liver": "Liver volume", "spleen": "Spleen volume", "ratio": "Liver/spleen volume ratio"}
CONDITION_LABELS: Final = {
    "healthy": "Healthy liver",
    "fatty": "Fatty liver disease",
    "cld": "Non-cirrhotic chronic liver disease",
    "cirrhosis": "Liver cirrhosis",
    "post_hepatectomy": "Post-hepatectomy",
}
DATASET_LABELS: Final = {
    "development": "Development dataset",
    "test1": "Test dataset-1",
    "test2": "Test dataset-2",
}
_SCORE_LABELS: Final = {"liver": "Liver DSS", "spleen": "Spleen DSS"}
_ROW_LABELS: Final = {
    **CONDITION_LABELS,
    **INDEX_LABELS,
    "total": "Total",
    "p": "p",
    **{f"dss_{key}": label for key, label in _SCORE_LABELS.items()},
    **{f"loa_{key}": f"{label}, 95 % LOA (%)" for key, label in INDEX_LABELS.items()},
}

Part = Literal["paper", "beyond"]
PARTS: Final[dict[Part, str]] = {"paper": "Tables", "beyond": "Beyond the paper"}
"""The parts of a report and their headings."""


@dataclass(frozen=True)
class TableForm:
    """How one table is laid out; `title` may name the `{reader}` and the `{reference}`.

    A row or column without a label is labelled by its address; `sex:M` by the labels of `sex` and `M`, as `Sex: M`, if
    `sex` has one. `shows_n`: whether n stands beside the numbers, or they are counts themselves.
    """

    name: str
    title: str
    footnote: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    part: Part = "paper"
    shows_n: bool = True


FORMS: Final = {
    form.name: form
    for form in (
        TableForm(
            "table1",
            "Table 1. Characteristics of the datasets",
            "Number (percent of the patients of the column; of its CTs for section thickness and phase). Age: mean ± "
            "SD (range) over patients, each at the youngest age stated.",
            rows={
                **CONDITION_LABELS,
                "patients": "Patients",
                "examinations": "CT examinations",
                "age": "Age (years)",
                "sex": "Sex",
                "condition": "Condition",
                "section_thickness": "Section thickness",
                "section_thickness_mm": "Section thickness (mm), mean ± SD (range)",
                "phase": "Phase",
                **{
                    f"{key}_{word}": f"{label}: {meaning}"
                    for key, label in (
                        ("age", "Age"),
                        ("sex", "Sex"),
                        ("condition", "Condition"),
                        ("section_thickness", "Section thickness"),
                        ("phase", "Phase"),
                    )
                    for word, meaning in (("several", "more than one stated"), ("missing", "not stated"))
                },
            },
            columns={
                **DATASET_LABELS,
                **{
                    f"{dataset}_{site}": f"{label}, {site} CT"
                    for dataset, label in DATASET_LABELS.items()
                    for site in ("external", "internal")
                },
            },
            shows_n=False,
        ),
        TableForm(
            "table2",
            "Table 2. DSS of {reader} against {reference} by condition",
            "Mean ± SD (range). p: Kruskal-Wallis test between the conditions.",
            rows=_ROW_LABELS,
            columns=_SCORE_LABELS,
        ),
        TableForm(
            "table3",
            "Table 3. Agreement of volumetric indices, {reader} against {reference}, by condition",
            "Bias ± 1.96 SD of percent differences. p: t-test of the bias against zero.",
            rows=_ROW_LABELS,
            columns={
                **{key: f"{label}, 95 % LOA (%)" for key, label in INDEX_LABELS.items()},
                **{f"{key}_p": "p" for key in INDEX_LABELS},
            },
        ),
        TableForm(
            "table4",
            "Table 4. {reader} against {reference} in external and internal CT",
            "DSS: mean ± SD (range); p: Wilcoxon signed-rank test over patients with one CT of each site. "
            "LOA: bias ± 1.96 SD of percent differences; NA, not applicable.",
            rows=_ROW_LABELS,
            columns={"external": "External CT", "internal": "Internal CT", "p": "p"},
        ),
        TableForm(
            "reproducibility",
            "Reproducibility over two CTs of a patient, %RC (95 % CI), by reader",
            "Percentage reproducibility coefficient with its χ² confidence interval; n counts patients.",
            rows=_ROW_LABELS,
        ),
    )
}
"""Every table a report may hold, by name, in the order of the report."""


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
    if unknown := {cell.address.table for cell in report.cells} - FORMS.keys():
        raise ValueError(f"tables without a form: {', '.join(sorted(unknown))}")
    names = {"reader": report.reader, "reference": report.reference}
    made = (_layout(form, report.table(name), names) for name, form in FORMS.items())
    return tuple(layout for layout in made if layout.rows)


def condition_label(condition: str) -> str:
    """The name of a subgroup for people.

    >>> condition_label("cld"), condition_label("budd_chiari")
    ('Non-cirrhotic chronic liver disease', 'budd_chiari')
    """
    return CONDITION_LABELS.get(condition, condition or "No condition named")


def dataset_label(dataset: str) -> str:
    """The name of a dataset for people.

    >>> dataset_label("test1"), dataset_label("amos")
    ('Test dataset-1', 'amos')
    """
    return DATASET_LABELS.get(dataset, dataset)


def _layout(form: TableForm, table: Mapping[str, Mapping[str, Cell]], names: Mapping[str, str | None]) -> TableLayout:
    columns = list(dict.fromkeys(column for cells in table.values() for column in cells))
    rows = tuple(
        (row, _label(form.rows, row), tuple(cells.get(column) for column in columns)) for row, cells in table.items()
    )
    return TableLayout(
        name=form.name,
        title=one_line(form.title.format(**names)),
        footnote=_footnote(form, (cell for _, _, cells in rows for cell in cells if cell is not None)),
        columns=tuple((column, _label(form.columns, column)) for column in columns),
        rows=rows,
        part=form.part,
        shows_n=form.shows_n,
    )


def _label(labels: Mapping[str, str], address: str) -> str:
    head, colon, tail = address.partition(":")
    if address not in labels and colon and head in labels:
        return one_line(f"{labels[head]}: {labels.get(tail, tail)}")
    return one_line(labels.get(address, address))


def _footnote(form: TableForm, cells: Iterable[Cell]) -> str:
    """The footnote of the form, and why there are dashes in the table."""
    reasons = dict.fromkeys(cell.reason for cell in cells if cell.reason and UNDEFINED in cell.text.split())
    undefined = f" {UNDEFINED}, undefined: {one_line('; '.join(map(str, reasons)))}." if reasons else ""
    return (form.footnote + undefined).strip()
