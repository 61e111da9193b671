"""Table 1: patients and CT scans counted by hand; missing values are counted and noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from liverspleen.cohort import Cohort, Vocabulary, read_cohort, write_cohort
from liverspleen.evaluation.reporting.cells import Cell
from liverspleen.evaluation.reporting.table1 import characteristics


def cohort_of(folder: Path, rows: Sequence[Mapping[str, object]], vocabulary: Vocabulary | None = None) -> Cohort:
    complete = [{"case_id": f"c{n}", "patient_id": f"p{n}", "image": f"{n}.nii", **row} for n, row in enumerate(rows)]
    write_cohort(folder / "cohort.csv", complete)
    cohort = read_cohort(folder / "cohort.csv", vocabulary=vocabulary)
    assert not cohort.issues
    return cohort


def table_of(cohort: Cohort) -> dict[tuple[str, str], Cell]:
    return {(cell.address.row, cell.address.column): cell for cell in characteristics(cohort).cells}


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return cohort_of(
        tmp_path,
        [
            {"dataset": "development", "sex": "F", "age": 40, "condition": "cld", "slice_thickness_mm": 5},
            {"dataset": "", "sex": "M", "age": 50, "condition": "healthy", "slice_thickness_mm": 5},
            {"dataset": "development", "sex": "M", "age": 63, "condition": "cld", "slice_thickness_mm": 2.5},
            {"dataset": "development", "sex": "", "age": "", "condition": "cld", "slice_thickness_mm": 5},
            {"dataset": "test2", "patient_id": "x", "site": "external", "sex": "M", "age": 70, "phase": "portal"},
            {"dataset": "test2", "patient_id": "x", "site": "internal", "sex": "M", "age": 71, "phase": "portal"},
            {"dataset": "test2", "patient_id": "y", "site": "external", "sex": "F", "age": 30, "phase": "late"},
        ],
    )


def test_columns_are_the_datasets_and_the_paired_one_by_site(cohort: Cohort) -> None:
    assert list(dict.fromkeys(column for _, column in table_of(cohort))) == [
        "development",
        "test2",
        "test2_external",
        "test2_internal",
    ]


def test_patients_and_examinations_are_counted_once(cohort: Cohort) -> None:
    table = table_of(cohort)
    assert [table["patients", c].text for c in ("development", "test2", "test2_internal")] == ["4", "2", "1"]
    assert [table["examinations", c].text for c in ("development", "test2", "test2_internal")] == ["4", "3", "1"]


def test_age_is_described_over_patients_at_their_youngest(cohort: Cohort) -> None:
    table = table_of(cohort)
    # Mean of 40, 50, 63 is 51; squared deviations 121 + 1 + 144 = 266, over 2 is 133, its root 11.53.
    age = table["age", "development"]
    assert age.text == "51.0 ± 11.5 (40.0–63.0)"
    assert (age.n, age.excluded, age.units) == (3, ("c3",), "years")
    assert table["age", "test2"].values["maximum"] == 70
    assert table["age", "test2_internal"].values["mean"] == 71


def test_percentages_are_of_all_patients_and_missing_values_are_a_row(cohort: Cohort) -> None:
    table = table_of(cohort)
    assert table["sex:M", "development"].text == "2 (50.0)"
    assert table["sex:F", "development"].text == "1 (25.0)"
    assert table["sex_missing", "development"].text == "1 (25.0)"
    assert table["sex_missing", "test2"].text == "0 (0.0)"
    assert table["sex:M", "development"].rows == ("c1", "c2")
    assert table["sex:M", "test2"].values == {"count": 1, "percent": 50}


def test_slice_thickness_and_phase_count_examinations(cohort: Cohort) -> None:
    table = table_of(cohort)
    rows = [row for row, column in table if column == "test2"]
    assert rows.index("slice_thickness:2.5 mm") < rows.index("slice_thickness:5 mm")
    assert table["slice_thickness:5 mm", "development"].text == "3 (75.0)"
    assert table["slice_thickness_missing", "test2"].text == "3 (100.0)"
    assert table["phase:portal", "test2"].text == "2 (66.7)"


def test_rows_of_one_characteristic_add_up(cohort: Cohort) -> None:
    table = table_of(cohort)
    for name, whole in (("sex", 4), ("condition", 4), ("slice_thickness", 4), ("phase", 4)):
        parts = [cell for (row, c), cell in table.items() if c == "development" and row.startswith((name,))]
        assert sum(cell.values["count"] or 0 for cell in parts) == whole, name


def test_conditions_are_in_the_order_of_the_paper(cohort: Cohort) -> None:
    rows = [row for row, column in table_of(cohort) if column == "development" and row.startswith("condition")]
    assert rows == ["condition:healthy", "condition:cld", "condition_missing"]


def test_missing_values_are_noted_with_their_cases(cohort: Cohort) -> None:
    notes = {note.message: note.cases for note in characteristics(cohort).notes}
    assert notes["Table 1: age is missing for 1 of 6 patients"] == ("c3",)
    assert notes["Table 1: condition is missing for 2 of 6 patients"] == ("c4", "c5", "c6")
    assert notes["Table 1: phase is missing for 4 of 7 CT examinations"] == ("c0", "c1", "c2", "c3")


def test_different_values_of_a_patient_are_a_row_and_a_note(tmp_path: Path) -> None:
    rows = [{"patient_id": "x", "sex": sex, "dataset": "test1"} for sex in ("F", "M")]
    found = characteristics(cohort_of(tmp_path, rows))
    (cell,) = [cell for cell in found.cells if cell.address.row.startswith("sex")]
    assert (cell.address.row, cell.text, cell.rows) == ("sex_several", "1 (100.0)", ("c0", "c1"))
    assert "LS-REP-044" in [note.code for note in found.notes]


def test_the_age_without_any_value_is_undefined_with_a_reason(tmp_path: Path) -> None:
    table = table_of(cohort_of(tmp_path, [{"dataset": "test1"}]))
    assert (table["age", "test1"].text, table["age", "test1"].n) == ("–", 0)
    assert table["age", "test1"].reason
    assert table["age_missing", "test1"].text == "1 (100.0)"


def test_many_slice_thicknesses_are_described(tmp_path: Path) -> None:
    rows = [{"dataset": "test1", "slice_thickness_mm": n / 2} for n in range(1, 10)]
    table = table_of(cohort_of(tmp_path, rows))
    # 0.5 to 4.5 in steps of 0.5: mean 2.5, variance 0.25 * 60 / 8 = 1.875.
    assert table["slice_thickness_mm", "test1"].text == "2.5 ± 1.4 (0.5–4.5)"
    assert not [row for row, _ in table if row.startswith("slice_thickness:")]


def test_thicknesses_that_print_alike_are_one_row(tmp_path: Path) -> None:
    rows = [{"dataset": "test1", "slice_thickness_mm": value} for value in (5, 5.001)]
    assert table_of(cohort_of(tmp_path, rows))["slice_thickness:5 mm", "test1"].text == "2 (100.0)"


def test_datasets_are_in_the_order_of_the_vocabulary(tmp_path: Path) -> None:
    vocabulary = Vocabulary(datasets=("development", "amos", "test1"))
    rows = [{"dataset": name} for name in ("amos", "test1", "development")]
    columns = [column for row, column in table_of(cohort_of(tmp_path, rows, vocabulary)) if row == "patients"]
    assert columns == ["development", "amos", "test1"]
