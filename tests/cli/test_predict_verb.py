"""`liverspleen predict`: outputs, kept cases, and rejections."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from predicting import TABLES, predict, results, rows, scan

from liverspleen.cli.main import main
from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.inference import prediction
from liverspleen.spreadsheet import csv_rows
from liverspleen.storage import sha256_of


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for seed, name in enumerate(("a", "b", "c")):
        scan(folder / f"{name}.nii.gz", seed=seed, slices=4 + seed)
    return folder


def test_a_scan_gets_the_documented_files(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = scan(tmp_path / "a.nii.gz"), tmp_path / "out"
    assert predict(model, file, out) == 0
    tables = ["dataset_description.json", "dseg.tsv", "itksnap.txt", "slicer.ctbl", *TABLES]
    assert set(results(out)) == {"a_dseg.json", "a_dseg.nii.gz", "a_dseg.png", *tables}
    sidecar = json.loads((out / "a_dseg.json").read_text())
    assert sidecar["image_sha256"] == sha256_of(file)
    assert sidecar["settings"]["model_sha256"] == sha256_of(model)
    assert sidecar["files"]["a_dseg.nii.gz"] == sha256_of(out / "a_dseg.nii.gz")
    label_map = read_label_map(out / "a_dseg.nii.gz")
    assert label_map.labels.shape == (5, 32, 32)
    np.testing.assert_array_equal(label_map.geometry.affine, read_ct(file).geometry.affine)
    # 8 x 8 x 20 mm
    expected = {name: (label_map.labels == value).sum() * 1280 / 1000 for name, value in [("liver", 1), ("spleen", 2)]}
    assert min(expected.values()) > 100
    assert {row["structure"]: float(row["volume_cm3"]) for row in rows(out / "measurements.csv")} == expected
    (shown,) = rows(out / "review.csv")
    assert (shown["case_id"], shown["picture"]) == ("a", "a_dseg.png")
    assert "phantoms" in capsys.readouterr().err.lower()  # the model was trained on phantoms only


def test_a_bad_scan_is_one_line_and_first_in_the_review(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scans / "bad.nii.gz").write_bytes(b"none")
    assert predict(model, scans, tmp_path / "out") == 2
    printed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert len(printed) == 1
    assert printed[0].startswith("LS-IMG-003 case 'bad'")
    assert rows(tmp_path / "out" / "review.csv")[0]["case_id"] == "bad"
    assert {row["case_id"] for row in rows(tmp_path / "out" / "measurements.csv")} == {"a", "b", "c"}
    scan(scans / "bad.nii.gz", seed=9)
    assert predict(model, scans, tmp_path / "out") == 0
    assert {row["case_id"] for row in rows(tmp_path / "out" / "measurements.csv")} == {"a", "b", "bad", "c"}
    assert not any((tmp_path / "out" / "rejected").iterdir())


def kept(model: Path, scans: Path, out: Path, *more: str) -> set[str]:
    """Return the label maps that a call does not write again."""
    before = {file.name: file.stat().st_mtime_ns for file in out.glob("*.nii.gz")}
    predict(model, scans, out, *more)
    return {name[0] for name, time in before.items() if (out / name).stat().st_mtime_ns == time}


def test_only_cases_with_another_ct_model_or_setting_are_segmented_again(
    model: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert predict(model, scans, out) == 0
    first = results(out)
    assert kept(model, scans, out) == {"a", "b", "c"}
    assert kept(model, scans, out, "batch_size=1", "precision=fp32") == {"a", "b", "c"}
    assert results(out) == first
    scan(scans / "b.nii.gz", seed=7)
    assert kept(model, scans, out) == {"a", "c"}
    (out / "c_dseg.png").unlink()
    assert kept(model, scans, out) == {"a", "b"}
    assert kept(model, scans, out, "flips=true") == set()
    assert kept(model.with_name("best.ckpt"), scans, out, "flips=true") == set()


def test_a_label_map_of_another_version_is_never_written_over(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(model, scans, out) == 0
    sidecar = json.loads((out / "a_dseg.json").read_text())
    (out / "a_dseg.json").write_text(json.dumps(sidecar | {"format": 99}))
    before = (out / "a_dseg.nii.gz").read_bytes()
    capsys.readouterr()
    assert predict(model, scans, out) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert line.startswith("LS-FMT-001 case 'a' file 'a_dseg.json': sidecar of format 99, expected 2")
    assert (out / "a_dseg.nii.gz").read_bytes() == before
    assert {row["case_id"] for row in rows(out / "measurements.csv")} == {"b", "c"}
    assert next(row for row in rows(out / "review.csv") if row["case_id"] == "a")["reasons"].startswith(
        "rejected: LS-FMT"
    )


def test_a_label_map_that_a_person_changed_is_never_written_over(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(model, scans, out) == 0
    drawn = read_label_map(out / "a_dseg.nii.gz")
    write_label_map(out / "a_dseg.nii.gz", LabelMap(drawn.labels * 0, drawn.geometry))
    (out / "b_dseg.json").unlink()
    shutil.copy(out / "c_dseg.nii.gz", out / "c.nii.gz")
    edited = {name: (out / name).read_bytes() for name in ("a_dseg.nii.gz", "b_dseg.nii.gz", "c.nii.gz")}
    capsys.readouterr()
    assert predict(model, scans, out, "flips=true") == 2
    printed = [line[:20] for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert printed == [f"LS-PRD-003 case '{name}' f"[:20] for name in "abc"]
    assert edited == {name: (out / name).read_bytes() for name in edited}
    assert rows(out / "measurements.csv") == []
    assert [row["case_id"] for row in rows(out / "review.csv")] == ["a", "b", "c"]


def test_an_index_of_the_user_is_kept_until_it_is_moved(
    model: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scans / "index.html").write_text("<p>my page</p>")
    assert predict(model, scans, scans) == 0
    assert "warning: LS-PRD-042 file 'index.html'" in capsys.readouterr().err
    assert (scans / "index.html").read_text() == "<p>my page</p>"
    (scans / "index.html").rename(scans.parent / "index.html")
    assert predict(model, scans, scans) == 0
    assert "LS-PRD-042" not in capsys.readouterr().err
    assert 'content="liverspleen predict"' in (scans / "index.html").read_text()


def test_results_in_the_folder_of_their_ct_are_reused(model: Path, scans: Path) -> None:
    assert predict(model, scans, scans) == 0
    first = results(scans)
    assert predict(model, scans, scans) == 0
    assert results(scans) == first
    assert len(rows(scans / "volumes.csv")) == 3


def test_a_case_of_a_cohort_has_its_present_patient(
    model: Path, box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    table, out = box_cohort((5, 6), condition=["healthy", "fatty"]), tmp_path / "out"
    assert predict(model, table, out) == 0
    table.write_text(table.read_text().replace("fatty", "cirrhosis"))
    assert kept(model, table, out) == {"c"}
    assert {row["condition"] for row in rows(out / "measurements.csv")} == {"healthy", "cirrhosis"}


@pytest.mark.parametrize("words", ["batch_size=0", "precision=fp8", "postprocess=all", "ids=real", "workers=-1"])
def test_invalid_options_are_rejected_before_the_model_is_read(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tmp_path / "none.ckpt", tmp_path, tmp_path / "out", words) == 2
    assert "LS-CFG-006" in capsys.readouterr().err


def test_tables_are_those_of_measure(model: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(model, scans, out) == 0
    assert main(["measure", f"labels={out}", f"output={tmp_path / 'measure'}", "workers=1"]) == 0
    measured, predicted = (csv_rows((folder / TABLES[0]).read_text()) for folder in (tmp_path / "measure", out))
    assert measured == [{k: v for k, v in row.items() if k[:3] != "hu_"} for row in predicted]  # it knows no CT
    assert (tmp_path / "measure" / TABLES[1]).read_bytes() == (out / TABLES[1]).read_bytes()


def test_a_package_is_the_same_model_as_folder_as_zip_and_moved(model: Path, scans: Path, tmp_path: Path) -> None:
    assert main(["export", f"model={model}", f"output={tmp_path / 'package'}", "license=CC0-1.0"]) == 0
    out, by_checkpoint = tmp_path / "out", tmp_path / "by_checkpoint"
    assert predict(tmp_path / "package", scans, out) == 0
    assert predict(model, scans, by_checkpoint) == 0
    assert (out / "measurements.csv").read_bytes() == (by_checkpoint / "measurements.csv").read_bytes()
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "package")
    (tmp_path / "package").rename(tmp_path / "moved")
    for other in ("packed.zip", "moved"):
        assert kept(tmp_path / other, scans, out) == {"a", "b", "c"}


def test_a_case_that_needs_too_much_memory_is_one_line(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = prediction.write_case_picture

    def short(path: Path, *more: object) -> None:
        if path.name.startswith("b"):
            raise MemoryError
        draw(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(prediction, "write_case_picture", short)
    assert predict(model, scans, tmp_path / "out") == 2
    assert "LS-PRD-015 case 'b'" in capsys.readouterr().err
    assert {row["case_id"] for row in rows(tmp_path / "out" / "measurements.csv")} == {"a", "c"}
    monkeypatch.undo()
    assert predict(model, scans, tmp_path / "out") == 0
    assert {row["case_id"] for row in rows(tmp_path / "out" / "measurements.csv")} == {"a", "b", "c"}


def test_an_edited_label_map_is_not_in_later_tables(model: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(model, scans / "a.nii.gz", out) == 0
    drawn = read_label_map(out / "a_dseg.nii.gz")
    write_label_map(out / "a_dseg.nii.gz", LabelMap(drawn.labels * 0, drawn.geometry))
    assert predict(model, scans / "b.nii.gz", out) == 0
    assert {row["case_id"] for row in rows(out / "measurements.csv")} == {"b"}


def test_a_model_that_cannot_be_used_is_rejected_before_torch_is_imported(model: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "model.ckpt"
    spoilt.write_bytes(model.read_bytes()[:-1])
    words = ["predict", f"model={spoilt}", f"input={tmp_path}", f"output={tmp_path / 'out'}"]
    code = f"import sys; from liverspleen.cli.main import main; print(main({words!r}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
    assert done.stderr.startswith("LS-MOD-005")
