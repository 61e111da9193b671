"""Tables of development cases by the fold that validates their patient, small enough to be computed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_paper_tables import HEADER, cell, four_cases, note_cases, rows_of

from liverspleen.cohort.split import Split
from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport, statistical_report
from liverspleen.evaluation.reporting.table_layout import layouts

DEVELOPMENT = {
    "D1": ("P1", 0.90, 110, 90),
    "D2": ("P2", 0.94, 100, 100),
    "D3": ("P3", 0.70, 90, 110),
    "D4": ("P3", 0.80, 100, 100),
}
"""Patient, DSS of the liver, volumes of the liver by the reader and its reference, by case."""


def split(validation: tuple[str, ...]) -> Split:
    return Split(tuple({"P1", "P2", "P3"} - set(validation)), validation, 0, 0.5, "hash")


def report(tmp_path: Path, splits: dict[str, Split], *more: str) -> StatisticalReport:
    rows = [
        line
        for case, (patient, dss, test, reference) in DEVELOPMENT.items()
        for line in rows_of(
            case,
            about=f"{patient},development,healthy,",
            liver=(test, reference),
            spleen=(10, 10),
            dss=(dss, 0.9),
        )
    ]
    (tmp_path / "m.csv").write_text("\n".join([HEADER, *rows, *more]) + "\n", encoding="utf-8")
    return statistical_report(read_measurements(tmp_path / "m.csv"), splits=splits)


def test_a_column_for_each_fold_and_the_total(tmp_path: Path) -> None:
    made = report(tmp_path, {"fold0": split(("P1", "P2")), "fold1": split(("P3",))})
    table = made.table("cross_validation")
    assert list(table["dss_liver"]) == ["fold0", "fold1", "total"]
    assert [found.rows for found in table["dss_liver"].values()] == [("D1", "D2"), ("D3", "D4"), tuple(DEVELOPMENT)]
    assert table["dss_liver"]["fold0"].text == "0.920 ± 0.028 (0.900–0.940)"  # SD 0.04/√2
    assert table["dss_liver"]["total"].values["mean"] == pytest.approx((0.90 + 0.94 + 0.70 + 0.80) / 4)
    # 200 (110 - 90)/200 = 20 %, 0 %: bias 10, SD 20/√2
    assert table["loa_liver"]["fold0"].values["bias"] == pytest.approx(10)
    assert table["loa_liver"]["fold0"].values["sd"] == pytest.approx(20 / 2**0.5)
    # Differences 20, 0, and of P3 -20 and 0: mean of the means of the patients (20 + 0 - 10)/3
    assert table["loa_liver"]["total"].values["bias"] == pytest.approx(10 / 3)
    assert cell(made, "cross_validation_failures", "low_dss:total", "liver").text.startswith("1 of 4; 33.3 (")
    assert made.table("cross_validation_means")["dss:total"]["liver"].values["n_patients"] == 3
    assert not made.table("table2")
    assert {"LS-REP-030", "LS-REP-057"} <= {note.code for note in made.notes}
    assert not note_cases(made, "LS-REP-058")
    assert [(found.index, found.is_cross_validation) for found in made.agreements][:2] == [
        ("liver", True),
        ("spleen", True),
    ]
    titles = {layout.name: layout.title for layout in layouts(made)}
    assert titles["cross_validation"] == "Development dataset, 2-fold cross-validation: dla against manual"
    (shown,) = (layout for layout in layouts(made) if layout.name == "cross_validation")
    assert [label for _, label in shown.columns] == ["Fold 0", "Fold 1", "Total"]


def test_test_cases_are_in_the_tables_of_the_paper_only(tmp_path: Path) -> None:
    folds = {"fold0": split(("P1", "P2")), "fold1": split(("P3",))}
    made = report(tmp_path, folds, *four_cases())
    assert cell(made, "table3", "total", "liver").n == 4
    assert cell(made, "cross_validation", "loa_liver", "total").n == 4
    assert set(cell(made, "table3", "total", "liver").rows).isdisjoint(DEVELOPMENT)


def test_the_reason_for_omitted_tables_is_the_dataset(tmp_path: Path) -> None:
    made = report(tmp_path, {})
    assert note_cases(made, "LS-REP-058") == [tuple(DEVELOPMENT)]
    (reason, *_) = (note.message for note in made.notes if note.code == "LS-REP-030")
    assert reason.endswith("it has the CT scans of a test dataset, and all rows are of 'development'")


def test_one_split_has_its_validation_patients(tmp_path: Path) -> None:
    made = report(tmp_path, {"split": split(("P3",))})
    assert list(made.table("cross_validation")["dss_liver"]) == ["total"]
    assert cell(made, "cross_validation", "dss_liver", "total").rows == ("D3", "D4")
    assert note_cases(made, "LS-REP-058") == [("D1", "D2")]
    titles = {layout.title for layout in layouts(made)}
    assert "Development dataset, validation patients: dla against manual" in titles


def test_a_patient_in_two_folds_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-SPL-015: patient 'P1' is on the validation side of fold0 and fold1"):
        report(tmp_path, {"fold0": split(("P1",)), "fold1": split(("P1", "P2"))})
