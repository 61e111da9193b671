"""Layout: every table has a form, labels are of one line, addresses stay as they are, dashes are explained."""

from __future__ import annotations

import pytest

from liverspleen.evaluation.reporting.cells import Address, Cell
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport
from liverspleen.evaluation.reporting.table_form import PARTS, TableForm
from liverspleen.evaluation.reporting.table_forms import FORMS
from liverspleen.evaluation.reporting.table_layout import layouts


def cell(table: str, row: str, column: str, text: str = "1.0", reason: str | None = None) -> Cell:
    values = {"x": None if reason else 1.0}
    return Cell(Address(table, row, column), values, "1", text, 3, "some method", reason=reason)


def report_of(*cells: Cell) -> StatisticalReport:
    return StatisticalReport("dla", "manual", cells, (), (), 0, 0)


def test_a_table_is_added_by_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    form = TableForm(
        "bias",
        "Bias of {reader} against {reference}",
        "Note.",
        {"liver": "Liver"},
        {"ci": "95 % CI"},
        part="additional",
    )
    monkeypatch.setitem(FORMS, "bias", form)
    first, second = layouts(
        report_of(cell("bias", "liver", "ci"), cell("bias", "gut", "n"), cell("table2", "p", "liver"))
    )
    assert (first.name, second.name, second.part) == ("table2", "bias", "additional")
    assert second.title == "Bias of dla against manual"
    assert second.columns == (("ci", "95 % CI"), ("n", "n"))
    assert [(row, label, [c is None for c in cells]) for row, label, cells in second.rows] == [
        ("liver", "Liver", [False, True]),
        ("gut", "gut", [True, False]),
    ]


def test_a_table_without_a_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="table9"):
        layouts(report_of(cell("table9", "a", "b")))


def test_every_form_belongs_to_a_part() -> None:
    assert {form.part for form in FORMS.values()} <= set(PARTS)


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ("sex:M", "Sex: M"),
        ("condition:cld", "Condition: Non-cirrhotic chronic liver disease"),
        ("sex:a:b", "Sex: a:b"),
        ("other:M", "other:M"),
        ("phase:a\nb\u202e", "Phase: a\\nb\\u202e"),
    ],
)
def test_rows_of_two_parts_are_labelled_by_both(row: str, label: str) -> None:
    (layout,) = layouts(report_of(cell("table1", row, "development")))
    assert layout.rows[0][:2] == (row, label)


def test_names_of_readers_cannot_format_the_title() -> None:
    report = StatisticalReport("{0}\n", "{reference}", (cell("table2", "total", "liver"),), (), (), 0, 0)
    assert layouts(report)[0].title == "Table 2. DSS of {0}\\n against {reference} by condition"


def test_dashes_are_explained_below_the_table() -> None:
    cells = (
        cell("table3", "total", "liver", "–", "no pair is complete"),
        cell("table3", "cld", "liver", "1 ± –", "one pair"),
    )
    assert layouts(report_of(*cells))[0].footnote.endswith("–: undefined (no pair is complete; one pair).")
    # A range is no dash, and a reason without one is not about a missing number.
    whole = cell("table3", "total", "liver", "0.9 (0.8–1.0)", "a remark")
    assert "undefined" not in layouts(report_of(whole))[0].footnote
