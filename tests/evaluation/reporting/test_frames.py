"""Tables as pandas frames: the printed text, and the numbers at full precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from liverspleen.cohort import read_cohort
from liverspleen.evaluation import Measurements, measure_folder, read_measurements, statistical_report
from liverspleen.evaluation.measurements.table import COLUMNS, write_measurements
from liverspleen.evaluation.reporting.table1 import characteristics

MEASUREMENTS = Path(__file__).parents[3] / "experiments/kjr2020/measurements.csv"


@pytest.fixture(scope="module")
def measurements() -> Measurements:
    return read_measurements(MEASUREMENTS)


def test_a_frame_has_the_printed_text_of_every_cell(measurements: Measurements) -> None:
    table = statistical_report(measurements).table("table3")
    frame = table.to_frame()
    assert list(frame.index) == ["total", "healthy", "fatty", "cld", "cirrhosis", "post_hepatectomy"]
    assert list(frame.columns) == ["liver", "liver_p", "spleen", "spleen_p", "ratio", "ratio_p"]
    assert frame.loc["total", "liver"] == "-0.17 ± 3.07"  # the paper's Table 3
    assert all(frame.loc[row, column] == cell.text for row, cells in table.items() for column, cell in cells.items())


def test_a_frame_of_values_has_full_precision_and_nan_where_undefined(measurements: Measurements) -> None:
    table = statistical_report(measurements).table("table4")
    frame = table.to_frame(values=True)
    assert set(frame.dtypes.astype(str)) == {"float64"}
    cell = table["dss_liver"]["external"]
    assert frame.loc["dss_liver", ("external", "mean")] == cell.values["mean"]
    assert frame.loc["dss_liver", ("external", "n")] == cell.n
    assert np.isnan(frame.loc["loa_ratio", ("external", "mean")])  # a row of limits has no mean
    assert np.isnan(frame.loc["loa_ratio", ("p", "p")])  # not applicable
    assert [name for column, name in frame.columns if column == "external"] == [
        *("mean", "sd", "minimum", "maximum", "bias", "half_width", "loa_lower", "loa_upper", "n"),
    ]


def test_a_frame_of_a_missing_table_is_empty(measurements: Measurements) -> None:
    table = statistical_report(measurements).table("no_such_table")
    assert table == {}
    assert table.to_frame().empty
    assert table.to_frame(values=True).empty


def test_a_frame_of_measurements_is_a_copy(measurements: Measurements) -> None:
    frame = measurements.to_frame()
    assert frame.equals(measurements.table)
    frame["volume_cm3"] = 0.0
    assert measurements.table["volume_cm3"].min() > 0


def test_measured_rows_are_equal_to_the_frame_of_their_file(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    folder = box_cohort((4, 5)).parent
    labels = tmp_path / "labels"
    labels.mkdir()
    for name in ("c0", "c1"):
        (labels / f"{name}.nii.gz").write_bytes((folder / f"{name}_label.nii.gz").read_bytes())
    measured = measure_folder(labels, cohort=read_cohort(folder / "cohort.csv"))
    write_measurements(tmp_path / "m.csv", measured.rows)
    read = read_measurements(tmp_path / "m.csv").table
    frame = measured.to_frame()
    assert list(frame.columns) == list(COLUMNS)
    assert frame["hd95_mm"].isna().any()
    assert frame.equals(read)


def test_table_1_has_a_frame(box_cohort: Callable[..., Path]) -> None:
    frame = characteristics(read_cohort(box_cohort((4, 5), sex=["F", "M"]))).table.to_frame()
    assert frame.loc["patients", "development"] == "2"
    assert frame.loc["sex:F", "development"] == "1 (50.0)"
