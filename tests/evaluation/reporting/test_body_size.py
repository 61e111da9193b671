"""Volumes by height, body surface area and standard liver volume, against the formulas of the papers by hand."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from liverspleen.cohort.manifest import read_cohort
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements, write_volumes
from liverspleen.evaluation.metrics.body_size import BodySize, body_sizes
from liverspleen.evaluation.reporting.paper_tables import statistical_report
from liverspleen.evaluation.reporting.table_layout import layouts

HEADER = "case_id,patient_id,image,dataset,condition,height_cm,weight_kg\n"
ROWS = "A,A,a.nii,test1,healthy,170,70\nB,B,b.nii,test1,healthy,160,\nC,C,c.nii,test1,cld,,\n"


def measured() -> list[Measurement]:
    volumes = {"A": (1500.0, 200.0), "B": (1200.0, 100.0), "C": (1000.0, 150.0)}
    return [
        Measurement(case, case, "test1", "cld" if case == "C" else "healthy", "", organ, reader, volume + extra)
        for case, found in volumes.items()
        for organ, volume in zip(("liver", "spleen"), found, strict=True)
        for reader, extra in (("manual", 0.0), ("dla", 17.0))
    ]


def test_area_and_standard_volume_by_logarithms() -> None:
    # log10: 0.425 log 70 + 0.725 log 170 - 2.1436 = 0.7842 + 1.6171 - 2.1436 = 0.2577, area 1.810 m²
    size = BodySize(170, 70)
    assert math.log10(size.bsa_m2) == pytest.approx(0.25761, abs=5e-5)
    assert size.standard_liver_cm3 == pytest.approx(706.2 * 1.80971 + 2.4, abs=0.05)
    assert math.isnan(BodySize(170, math.nan).bsa_m2)


def test_table_of_a_cohort_with_heights_and_weights(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text(HEADER + ROWS)
    write_measurements(tmp_path / "m.csv", measured())
    measurements, cohort = read_measurements(tmp_path / "m.csv"), read_cohort(tmp_path / "cohort.csv")
    report = statistical_report(measurements, cohort=cohort, reader="dla", reference="manual")
    (note,) = [note for note in report.notes if note.code == "LS-REP-061"]
    assert "height_cm in 1 and weight_kg in 2 of 3 CT scans" in note.message
    assert note.cases == ("B", "C")
    table = report.table("body_size")
    by_height = table["liver_height:total"]["manual"]
    assert by_height.values["mean"] == pytest.approx((1500 / 1.7 + 1200 / 1.6) / 2)
    assert (by_height.n, by_height.rows, by_height.excluded) == (2, ("A", "B"), ("C",))
    assert by_height.units == "cm³/m"
    assert table["liver_height:total"]["dla"].values["maximum"] == pytest.approx(1517 / 1.7)
    by_area = table["spleen_bsa:total"]["manual"]
    assert (by_area.n, by_area.values["mean"]) == (1, pytest.approx(200 / 1.80971, rel=1e-5))
    assert table["liver_standard:healthy"]["manual"].values["mean"] == pytest.approx(100 * 1500 / 1280.416, rel=1e-5)
    undefined = table["liver_bsa:cld"]["manual"]
    assert undefined.text == "–"
    assert undefined.reason is not None
    assert undefined.reason.endswith("height, weight or volume is not known")
    (layout,) = (layout for layout in layouts(report) if layout.name == "body_size")
    assert "Liver volume / BSA (cm³/m²): Healthy liver" in {label for _, label, _ in layout.rows}
    without = statistical_report(measurements, reader="dla", reference="manual")
    assert not without.table("body_size")
    assert "LS-REP-061" not in {note.code for note in without.notes}


def test_columns_of_volumes_csv(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text(HEADER + ROWS)
    write_volumes(tmp_path / "v.csv", measured(), body_sizes=body_sizes(read_cohort(tmp_path / "cohort.csv").cases))
    with (tmp_path / "v.csv").open(newline="") as handle:
        a, b, c = csv.DictReader(handle)
    assert float(a["liver_height_manual"]) == pytest.approx(1500 / 1.7)
    assert float(a["liver_standard_manual"]) == pytest.approx(100 * 1500 / 1280.416, rel=1e-5)
    assert (b["spleen_bsa_dla"], c["liver_height_dla"]) == ("", "")
    write_volumes(tmp_path / "plain.csv", measured())
    assert "height" not in (tmp_path / "plain.csv").read_text()


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        ("1.70,70", "height_cm", "LS-COH-046"),
        ("17000,70", "height_cm", "LS-COH-046"),
        ("170,0", "weight_kg", "LS-COH-046"),
        ("70,170", "weight_kg", "LS-COH-047"),  # exchanged
        ("68,75", "weight_kg", "LS-COH-047"),  # inches
        ("170 cm,70", "height_cm", "LS-COH-016"),
    ],
)
def test_impossible_sizes_are_errors_of_the_row(cells: str, column: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text(f"{HEADER}A,A,a.nii,test1,healthy,{cells}\n")
    (issue,) = read_cohort(tmp_path / "cohort.csv").issues
    assert issue.code == code
    assert f"column '{column}'" in str(issue)
