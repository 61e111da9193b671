"""How the tables are laid out for people: titles, labels and footnotes, the same in Markdown and on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from liverspleen.evaluation.cells import Cell
from liverspleen.evaluation.tables import TABLES, StatisticalReport

INDEX_LABELS: Final = {"liver": "Liver volume", "spleen": "Spleen volume", "ratio": "Liver/spleen volume ratio"}
CONDITION_LABELS: Final = {
    "healthy": "Healthy liver",
    "fatty": "Fatty liver disease",
    "cld": "Non-cirrhotic chronic liver disease",
    "cirrhosis": "Liver cirrhosis",
    "post_hepatectomy": "Post-hepatectomy",
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
_COLUMN_LABELS: Final[dict[str, dict[str, str]]] = {
    "table2": _SCORE_LABELS,
    "table3": {
        **{key: f"{label}, 95 % LOA (%)" for key, label in INDEX_LABELS.items()},
        **{f"{key}_p": "p" for key in INDEX_LABELS},
    },
    "table4": {"external": "External CT", "internal": "Internal CT", "p": "p"},
    "reproducibility": {},
}
_TITLES: Final = {
    "table2": "Table 2. DSS of {reader} against {reference} by condition",
    "table3": "Table 3. Agreement of volumetric indices, {reader} against {reference}, by condition",
    "table4": "Table 4. {reader} against {reference} in external and internal CT",
    "reproducibility": "Reproducibility over two CTs of a patient, %RC (95 % CI), by reader",
}
_FOOTNOTES: Final = {
    "table2": "Mean ± SD (range). p: Kruskal-Wallis test between the conditions.",
    "table3": "Bias ± 1.96 SD of percent differences. p: t-test of the bias against zero.",
    "table4": "DSS: mean ± SD (range); p: Wilcoxon signed-rank test over patients with one CT of each site. "
    "LOA: bias ± 1.96 SD of percent differences; NA, not applicable.",
    "reproducibility": "Percentage reproducibility coefficient with its χ² confidence interval; n counts patients.",
}


@dataclass(frozen=True)
class TableLayout:
    """One table ready to be written: `columns` and the cells of each row stand in the same order."""

    name: str
    title: str
    footnote: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]


def layouts(report: StatisticalReport) -> tuple[TableLayout, ...]:
    """The tables that the report holds, in the paper's order."""
    return tuple(_layout(report, name) for name in TABLES if report.table(name))


def condition_label(condition: str) -> str:
    """The name of a subgroup for people.

    >>> condition_label("cld"), condition_label("budd_chiari")
    ('Non-cirrhotic chronic liver disease', 'budd_chiari')
    """
    return CONDITION_LABELS.get(condition, condition or "No condition named")


def _layout(report: StatisticalReport, name: str) -> TableLayout:
    table = report.table(name)
    columns = list(dict.fromkeys(column for cells in table.values() for column in cells))
    return TableLayout(
        name=name,
        title=_TITLES[name].format(reader=report.reader, reference=report.reference),
        footnote=_FOOTNOTES[name],
        columns=tuple((column, _COLUMN_LABELS[name].get(column, column)) for column in columns),
        rows=tuple(
            (row, _ROW_LABELS.get(row, row), tuple(cells.get(column) for column in columns))
            for row, cells in table.items()
        ),
    )
