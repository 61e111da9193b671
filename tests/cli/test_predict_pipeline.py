"""Prediction of a scan in each input format: the same volumes, and tables that later verbs read."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from predicting import TABLES, exam, predict, results, rows, scan, volumes

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import write_cohort
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.imaging.dicom import write_series
from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.imaging.nifti import write_label_map

ODD = [
    "a b",
    "a,b",
    'say "ah"',
    "it's",
    "Müller é",
    "-5",
    "=1+1",
    "@sum(a1)",
    "50%_dseg",
    "漢",
    "x" * 120,
    "a;b",
    "[a]{0}",
]


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def dicom(folder: Path, *, slices: int = 5, seed: int = 0) -> Path:
    """The CT of `scan` as a folder of DICOM slices."""
    write_series(folder, exam(slices, seed)[0])
    return folder


def test_one_ct_has_the_same_volumes_in_each_input_format(model: Path, tmp_path: Path) -> None:
    file = scan(tmp_path / "folder" / "a.nii.gz")
    write_cohort(tmp_path / "cohort.csv", [{"case_id": "a", "patient_id": "p", "image": "folder/a.nii.gz"}])
    series = dicom(tmp_path / "dicom" / "study" / "series")
    sources = [file, file.parent, tmp_path / "cohort.csv", series, series.parents[1]]
    for number, folder in enumerate((file.parent, series)):
        sources.append(Path(shutil.make_archive(str(tmp_path / f"{number}"), "zip", folder)))
    found = []
    for number, source in enumerate(sources):
        assert predict(model, source, tmp_path / "out" / str(number)) == 0, source
        found.append(volumes(tmp_path / "out" / str(number)))
    assert len(found[0]) == 2
    assert all(float(volume) > 100 for _, volume in found[0])
    assert found == [found[0]] * len(sources)
    for number, source in enumerate(sources):
        for name in ("*_dseg.dcm", "*_measurements.dcm"):
            assert len([*(tmp_path / "out" / str(number)).glob(name)]) == (source in sources[3:5] or number == 6)


def test_a_dicom_report_has_the_values_of_the_table_and_is_never_written_over(model: Path, tmp_path: Path) -> None:
    series, out = dicom(tmp_path / "series"), tmp_path / "out"
    assert predict(model, series, out) == 0
    (file,) = out.glob("*_measurements.dcm")
    found: Any = highdicom.sr.srread(file).content
    for group, row in zip(found.get_volumetric_roi_measurement_groups(), rows(out / "measurements.csv"), strict=True):
        assert group.tracking_identifier == row["structure"]
        stated = [float(row[column]) for column in ("volume_cm3", "hu_mean", "hu_sd")]
        assert [measurement.value for measurement in group.get_measurements()] == pytest.approx(stated, rel=1e-6)
    assert b"model_sha256: " in file.read_bytes()
    assert file.name[: -len("_measurements.dcm")].encode() not in file.read_bytes()  # an id beside a name
    before = results(out)
    assert predict(model, series, out) == 0  # kept
    assert results(out) == before
    file.write_bytes(file.read_bytes().replace(b"Research use only", b"Released for use "))
    assert predict(model, series, out) == 2
    (rejection,) = (out / "rejected").glob("*.json")
    assert "LS-PRD-003" in rejection.read_text()
    assert file.name in rejection.read_text()
    assert b"Released for use " in file.read_bytes()
    file.unlink()
    assert predict(model, series, out) == 0  # a missing file is written again, with the others
    assert b"Research use only" in file.read_bytes()


def test_dicom_has_the_ids_of_an_import_and_no_names(model: Path, tmp_path: Path) -> None:
    dicom(tmp_path / "source" / "Smith" / "series", seed=1)
    (tmp_path / "source" / "Smith" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"Smith")
    predict(model, tmp_path / "source", tmp_path / "out")
    main(["import", "source=dicom", f"input={tmp_path / 'source'}", f"output={tmp_path / 'cohort'}", "workers=1"])
    with (tmp_path / "cohort" / "cohort.csv").open(newline="") as handle:
        (imported,) = csv.DictReader(handle)
    (first, _) = rows(tmp_path / "out" / "measurements.csv")
    assert (first["case_id"], first["patient_id"]) == (imported["case_id"], imported["patient_id"])
    (tmp_path / "out" / f"{first['case_id']}_dseg.nii.gz").write_bytes(b"edited")
    assert predict(model, tmp_path / "source", tmp_path / "out") == 2
    record = (tmp_path / "out" / "run.json").read_bytes()
    assert b"LS-PRD-003" in record
    for name, content in {**results(tmp_path / "out"), "run.json": record}.items():
        assert "Smith" not in name
        assert name.endswith(".dcm") or (b"Smith" not in content and str(tmp_path).encode() not in content), name


def test_predict_measure_report(model: Path, tmp_path: Path) -> None:
    table = []
    for seed in range(4):
        case = f"c{seed}"
        scan(tmp_path / f"{case}.nii.gz", seed=seed)
        write_label_map(tmp_path / f"{case}_label.nii.gz", exam(5, seed)[1])
        row = {"case_id": case, "patient_id": case, "image": f"{case}.nii.gz", "label": f"{case}_label.nii.gz"}
        table.append({**row, "dataset": "test1", "condition": ("healthy", "fatty")[seed % 2]})
    write_cohort(tmp_path / "cohort.csv", table)
    out, cohort = tmp_path / "out", f"cohort={tmp_path / 'cohort.csv'}"
    assert predict(model, tmp_path / "cohort.csv", out) == 0
    assert main(["measure", f"labels={out}", cohort, f"output={tmp_path / 'measure'}", "workers=1"]) == 0
    measured = tmp_path / "measure" / "measurements.csv"
    both = [rows(file) for file in (out / "measurements.csv", measured)]
    keys = ("case_id", "patient_id", "dataset", "condition", "structure", "volume_cm3", "volume_status", "voxels")
    keys += ("hu_mean", "hu_median", "hu_sd", "hu_voxels", "hu_core_mm", "hu_status")
    ours, theirs = ({tuple(row[k] for k in keys) for row in table if row["reader"] == "dla"} for table in both)
    assert ours == theirs
    assert len(ours) == 8
    assert {row["hu_status"] for row in both[0]} == {"ok"}
    assert all(80 < float(row["hu_mean"]) < 100 for row in both[0] if row["structure"] == "liver")  # drawn with 90
    assert min(float(row["dss"]) for row in both[1] if row["dss"]) > 0.5  # it has learnt something
    report = [f"measurements={measured}", cohort, f"labels={out}", f"output={tmp_path / 'report'}"]
    assert main(["report", *report]) == 0
    assert (tmp_path / "report" / "figures" / "overlay.png").is_file()
    assert (tmp_path / "report" / "tables" / "attenuation.csv").is_file()


def test_unusual_names_reach_tables_and_pictures(model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "scans [é], 'a=b'", tmp_path / "out {1}, b"
    folder.mkdir()
    for seed, name in enumerate(ODD):
        scan(folder / f"{name}.nii.gz", seed=seed)
    assert predict(model, folder, out) == 0
    assert set(read_measurements(out / "measurements.csv").table["case_id"]) == set(ODD)
    assert all((out / f"{name}_dseg.png").is_file() for name in ODD)
    with (out / "review.csv").open(encoding="utf-8", newline="") as handle:
        shown = list(csv.DictReader(handle))
    assert {row["case_id"] for row in shown} == {f"'{name}" if name[0] in "=@" else name for name in ODD}
    assert not any(cell.startswith(("=", "+", "@")) for row in shown for cell in row.values())  # -5 is a number
    assert predict(model, folder, out) == 0
    assert json.loads((out / "run.json").read_text())["issues"] != []  # of phantoms only
    assert main(["measure", f"labels={out}", f"output={tmp_path / 'm'}", "workers=1"]) == 0
    without_ct = [{k: v for k, v in row.items() if k[:3] != "hu_"} for row in rows(out / "measurements.csv")]
    assert rows(tmp_path / "m" / "measurements.csv") == without_ct


@pytest.mark.parametrize("name", ["a\nb", "a\tb", " a", "x" * 129, "\x1b[2J"])
def test_a_name_that_no_table_can_store_is_one_line(
    model: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in (name, "b"):
        scan(tmp_path / "scans" / f"{each}.nii.gz")
    assert predict(model, tmp_path / "scans", tmp_path / "out") == 2
    assert [line[:10] for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")] == ["LS-SCN-010"]
    assert {row["case_id"] for row in rows(tmp_path / "out" / "measurements.csv")} == {"b"}


@pytest.mark.real
def test_all_real_scans_end_in_volumes_or_in_one_line(
    shared: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "data", tmp_path / "out"
    source.mkdir()
    expected = set()
    for file in sorted((shared / "data").rglob("*.nii*")):
        (source / f"{file.parent.name}_{file.name}").symlink_to(file)
        if "label" in f"{file.parent.name}_{file.name}":  # a label map is never segmented
            continue
        expected.add(f"{file.parent.name}_{file.name.removesuffix('.gz').removesuffix('.nii')}")
    code = predict(model, source, out)
    printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    reviewed = {row["case_id"].removeprefix("'") for row in rows(out / "review.csv")}
    assert reviewed == expected
    assert code == (2 if printed else 0)
    rejected = {row["case_id"] for row in rows(out / "review.csv") if row["score"] == ""}
    assert len(printed) == len(rejected)
    for case in expected - rejected:
        ct, label_map = (
            read_ct(source / next(f.name for f in source.iterdir() if f.name.startswith(f"{case}.nii"))),
            None,
        )
        label_map = read_label_map(out / f"{case}_dseg.nii.gz")
        np.testing.assert_array_equal(label_map.geometry.affine, ct.geometry.affine)
        assert label_map.labels.shape == ct.hu.shape
    for number, folder in enumerate(sorted({file.parent for file in (shared / "data").rglob("*.dcm")})):
        capsys.readouterr()
        code = predict(model, folder, tmp_path / f"dicom{number}")
        printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
        assert (code, bool(printed)) in {(0, False), (2, True)}
        assert code == 2 or rows(tmp_path / f"dicom{number}" / "review.csv")


def test_tables_are_named_as_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "prediction.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in (*TABLES, "run.json", "dseg.tsv", "slicer.ctbl", "itksnap.txt"))
