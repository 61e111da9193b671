"""No CSV file of this project has text that a spreadsheet runs as a formula, and each text reads back equal."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.cohort.split import Split, write_split
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements, write_volumes
from liverspleen.spreadsheet import csv_records, csv_rows, csv_text, inert

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters after which a spreadsheet reads a formula (OWASP, CSV Injection), with those of full width."""
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?( ± .*| \(.*)?")
NAMES = ["=cmd|' C'!A0", "@SUM(1+1)", "+1-2", "-2+3", "\uff1d1+1", "'=1", "'@x"]
SOURCE = Path(__file__).parents[1] / "src" / "liverspleen"


def formulas(file: Path) -> list[str]:
    """Return the cells of a CSV file that a spreadsheet would run."""
    with file.open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream, strict=True) for cell in row]
    return [cell for cell in cells if cell.lstrip(" ").startswith(STARTS) and not NUMBER.fullmatch(cell)]


@given(st.lists(st.text("'=+-@\t\r\n\uff1d 1.e,\"a"), min_size=1))
def test_each_text_is_inert_and_reads_back_equal(row: list[str]) -> None:
    assert csv_records(csv_text([row])) == [row]
    for cell in map(inert, row):
        assert NUMBER.fullmatch(cell) or not cell.lstrip(" ").startswith(STARTS)


def test_numbers_stay_numbers() -> None:
    assert csv_text([[-3.5, "-3.5", "+1e-5", None, -2]]) == "-3.5,-3.5,+1e-5,,-2\n"


def test_no_other_module_writes_csv() -> None:
    for file in SOURCE.rglob("*.py"):
        found = re.findall(r"csv\.(?:writer|DictWriter)|\.to_csv\(", file.read_text(encoding="utf-8"))
        assert not found or file.name == "spreadsheet.py", file


def test_tables_that_are_read_again_have_the_same_names(tmp_path: Path) -> None:
    rows = [
        {"case_id": f"c{i}", "patient_id": f"{name} {i}", "image": "a.nii", "note": name}
        for i, name in enumerate(NAMES)
    ]
    write_cohort(tmp_path / "cohort.csv", rows)
    cohort = read_cohort(tmp_path / "cohort.csv", root=tmp_path)
    assert [case.covariates["note"] for case in cohort.cases] == NAMES
    split = Split(tuple(sorted({case.patient_id for case in cohort.cases})), (), 0, 0.8, cohort.hash)
    write_split(tmp_path / "split.csv", split)
    written = csv_rows((tmp_path / "split.csv").read_text(encoding="utf-8"))
    assert tuple(row["patient_id"] for row in written) == split.training
    measured = [Measurement(name, name, "", "", "", "liver", "=r", 1.0) for name in NAMES]
    write_measurements(tmp_path / "measurements.csv", measured)
    assert [*read_measurements(tmp_path / "measurements.csv").table["case_id"]] == NAMES
    write_volumes(tmp_path / "volumes.csv", measured)
    assert not [cell for file in tmp_path.glob("*.csv") for cell in formulas(file)]
