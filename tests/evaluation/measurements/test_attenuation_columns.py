"""Columns of the attenuation: from label maps and the CT scans of a cohort, in tables with and without them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.label_folder import Measured, measure_folder
from liverspleen.evaluation.measurements.measure_case import measure_case
from liverspleen.evaluation.measurements.merge import merge_measurements
from liverspleen.evaluation.measurements.table import (
    COLUMNS,
    Measurement,
    Measurements,
    read_measurements,
    write_measurements,
)
from liverspleen.evaluation.metrics.attenuation import KnownCT
from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.organs import Structure

AFFINE = np.diag([-1.0, -1.0, 5.0, 1.0])
SHAPE = (60, 50, 12)  # columns, rows, slices
HU = [name for name in COLUMNS if name.startswith("hu_")]
BOXES = {"manual": slice(5, 25), "dla": slice(7, 27)}  # rows of both organs


def labels_of(rows: slice) -> np.ndarray[Any, Any]:
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:24, rows, 2:10] = Structure.LIVER
    labels[34:54, rows, 3:9] = Structure.SPLEEN
    return labels


def ct_of(hu: Mapping[str, float]) -> np.ndarray[Any, Any]:
    """Return air, and the left and the right half of the body with the HU of liver and spleen plus the row."""
    values = np.full(SHAPE, -1000.0)
    values[2:28, 2:48], values[30:58, 2:48] = hu["liver"], hu["spleen"]
    values[:, 2:48] += np.arange(46)[None, :, None]
    values[:, :, 0] = -1000
    return values


def save(file: Path, array: np.ndarray[Any, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    values = array.astype(np.int16 if array.dtype.kind == "f" else np.uint8)
    nib.save(nib.Nifti1Image(values, AFFINE), file)  # type: ignore[no-untyped-call]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    save(tmp_path / "a.nii.gz", ct_of({"liver": 20, "spleen": 30}))
    for reader, rows in BOXES.items():
        save(tmp_path / reader / "a.nii.gz", labels_of(rows))
    row = {"case_id": "a", "patient_id": "p", "image": "a.nii.gz", "label": "manual/a.nii.gz", "dataset": "test1"}
    write_cohort(tmp_path / "cohort.csv", [row])
    return tmp_path


def measured(study: Path) -> Measured:
    return measure_folder(study / "dla", cohort=read_cohort(study / "cohort.csv"), surface=None)


def by_key(found: Measured) -> dict[tuple[str, str], Measurement]:
    return {(row.structure, row.reader): row for row in found.rows}


def test_each_reader_has_the_attenuation_of_its_own_label_map(study: Path) -> None:
    rows = by_key(measured(study))
    # row r has r - 2 HU more; cores: manual rows 10 to 19, dla rows 12 to 21; 10 columns; 6 or 4 slices
    manual, dla, spleen = rows["liver", "manual"], rows["liver", "dla"], rows["spleen", "dla"]
    assert (manual.hu_mean, manual.hu_median, manual.hu_voxels) == (20 + 12.5, 32.5, 600)
    assert (dla.hu_mean, dla.hu_median, dla.hu_core_mm, dla.hu_status) == (34.5, 34.5, 5.0, "ok")
    assert (spleen.hu_mean, spleen.hu_voxels) == (30 + 14.5, 400)
    assert dla.hu_sd == pytest.approx(np.sqrt(99 / 12 * 600 / 599))


def test_the_same_values_by_measure_case_and_in_a_written_table(study: Path) -> None:
    cohort = read_cohort(study / "cohort.csv")
    found = measured(study)
    ct = read_ct(study / "a.nii.gz", case_id="a")
    maps = {"dla": read_label_map(study / "dla" / "a.nii.gz", case_id="a")}
    rows = measure_case(cohort.cases[0], maps, ct=KnownCT.of(ct))
    assert [[getattr(row, name) for name in HU] for row in rows] == [
        [getattr(row, name) for name in HU] for row in found.rows if row.reader == "dla"
    ]
    write_measurements(study / "m.csv", found.rows)
    table = read_measurements(study / "m.csv").table
    assert table["hu_mean"].tolist() == [row.hu_mean for row in found.rows]
    assert table["hu_status"].tolist() == ["ok"] * 4


def test_without_a_ct_there_are_no_columns(study: Path) -> None:
    found = measure_folder(study / "dla", reference=study / "manual", surface=None)
    write_measurements(study / "m.csv", found.rows)
    with (study / "m.csv").open(newline="") as handle:
        assert not {*HU} & {*next(csv.reader(handle))}
    table = read_measurements(study / "m.csv").table
    assert set(table["hu_status"]) == {""}
    assert table["hu_mean"].isna().all()


def test_a_case_without_a_label_map_has_the_attenuation_of_its_reference(study: Path) -> None:
    (study / "dla" / "a.nii.gz").unlink()
    cohort = read_cohort(study / "cohort.csv")
    rows = by_key(measure_folder(study / "dla", cohort=cohort, surface=None, allow_missing=True))
    assert (rows["liver", "dla"].hu_mean, rows["liver", "dla"].hu_status) == (None, "")
    assert rows["liver", "manual"].hu_mean == 32.5


@pytest.mark.parametrize("content", ["grey values", "damaged"])
def test_a_ct_that_cannot_be_used_costs_a_warning_and_no_volume(study: Path, content: str) -> None:
    file = study / "a.nii.gz"
    if content == "damaged":
        file.write_bytes(file.read_bytes()[:-60])
    else:
        save(file, ct_of({"liver": 20, "spleen": 30}).clip(-100, 155) + 100)
    found = measured(study)
    (issue,) = (issue for issue in found.issues if issue.code == "LS-MEA-035")
    assert (issue.severity, issue.case_id) == ("warning", "a")
    assert ("LS-IMG-014" if content == "grey values" else "LS-IMG-004") in issue.message
    assert {row.hu_status for row in found.rows} == {"no_hu"}
    assert {row.hu_mean for row in found.rows} == {None}
    assert by_key(found)["liver", "dla"].volume_cm3 == 20 * 20 * 8 * 5 / 1000


def test_a_clipped_ct_is_a_warning_and_a_status(study: Path) -> None:
    rng = np.random.default_rng(0)
    noisy = ct_of({"liver": 250, "spleen": 60}) + rng.normal(0, 30, SHAPE)
    save(study / "a.nii.gz", noisy.clip(-125, 275))
    found = measured(study)
    assert [issue.code for issue in found.issues if issue.code.startswith("LS-IMG")] == ["LS-IMG-012"]
    statuses = {key[0]: row.hu_status for key, row in by_key(found).items()}
    assert statuses == {"liver": "clipped", "spleen": "ok"}


def test_a_label_map_on_another_grid_than_the_ct_is_rejected(study: Path) -> None:
    labels = read_label_map(study / "dla" / "a.nii.gz", case_id="a")
    moved = labels.geometry.affine.copy()
    moved[2, 3] += 2.5
    other = replace(labels, geometry=replace(labels.geometry, affine=moved))
    ct = KnownCT.of(read_ct(study / "a.nii.gz", case_id="a"))
    with pytest.raises(InputError, match=r"LS-GEO-004 case 'a'.*corners of the label map.*its CT"):
        measure_case("a", {"dla": other}, ct=ct)


def row(reader: str = "dla", **hu: Any) -> Measurement:
    return Measurement("a", "a", "test1", "", "", "liver", reader, 1500.0, **hu)


FULL: dict[str, Any] = {"hu_mean": 55.0, "hu_median": 56.0, "hu_sd": 14.0, "hu_voxels": 9, "hu_core_mm": 5.0}


def read(file: Path, *rows: Measurement) -> Measurements:
    write_measurements(file, rows)
    return read_measurements(file)


@pytest.mark.parametrize("first", ["with", "without"])
def test_tables_with_and_without_the_columns_are_merged(tmp_path: Path, first: str) -> None:
    tables = {
        "with": read(tmp_path / "with.csv", row("manual", **FULL, hu_status="ok")),
        "without": read(tmp_path / "without.csv", row("manual"), row("other")),
    }
    order = ["with", "without"] if first == "with" else ["without", "with"]
    merged = merge_measurements([tables[name] for name in order]).table
    rows = {str(row["reader"]): row for row in merged.to_dict("records")}
    assert [rows["manual"][name] for name in HU] == [55.0, 56.0, 14.0, 9, 5.0, "ok"]
    assert (rows["other"]["hu_status"], math.isnan(rows["other"]["hu_mean"])) == ("", True)


def test_two_attenuations_of_one_reader_are_rejected(tmp_path: Path) -> None:
    first = read(tmp_path / "1.csv", row(**FULL, hu_status="ok"))
    second = read(tmp_path / "2.csv", row(**{**FULL, "hu_mean": 54.0}, hu_status="ok"))
    with pytest.raises(InputError, match=r"LS-CMP-001 case 'a'.*column 'hu_mean': 54 differs from 55"):
        merge_measurements([first, second])


@pytest.mark.parametrize(
    ("cells", "code"),
    [("-20.5,ok", None), ("NA,small_core", None), (",", None), ("high,ok", "LS-MEA-014"), ("50,good", "LS-MEA-009")],
)
def test_cells_of_a_table_by_hand(tmp_path: Path, cells: str, code: str | None) -> None:
    file = tmp_path / "m.csv"
    file.write_text(f"case_id,structure,reader,volume_cm3,hu_mean,hu_status\na,liver,r,1500,{cells}\n")
    if code is None:
        read_measurements(file)
        return
    with pytest.raises(InputError, match=code):
        read_measurements(file)


def test_one_page_documents_every_column() -> None:
    page = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    section = page.split("\n## measurements.csv\n")[1].split("\n## ")[0]
    assert not [name for name in COLUMNS if f"`{name}`" not in section]
