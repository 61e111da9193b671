"""`liverspleen predict` with several models and with probability maps."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from predicting import TABLES, exam, predict, results, rows, scan

from liverspleen import segment
from liverspleen.cli.main import main
from liverspleen.imaging.dicom import write_series
from liverspleen.inference.ensemble_export import export_ensemble
from liverspleen.inference.model import load_model
from liverspleen.networks.checkpoint import PACKAGE_KEY, WEIGHTS_PREFIX
from liverspleen.organs import ORGANS
from liverspleen.training.checkpoint_files import with_checksum

pytestmark = pytest.mark.filterwarnings("ignore::liverspleen.errors.InputWarning")  # about the values of the boxes

MAPS = {"a_liver_probability.nii.gz", "a_spleen_probability.nii.gz"}


def changed(model: Path, file: Path, change: Callable[[torch.Tensor], torch.Tensor], **description: object) -> Path:
    """Write a checkpoint with changed weights and description."""
    content = torch.load(model, weights_only=True)
    del content["liverspleen_sha256"]
    for name, weight in content["state_dict"].items():
        if name.startswith(WEIGHTS_PREFIX) and weight.is_floating_point():
            weight.copy_(change(weight))
    content[PACKAGE_KEY] |= description
    torch.save(with_checksum(content), file)
    return file


def shaken(weight: torch.Tensor) -> torch.Tensor:
    return weight + 0.02 * torch.randn_like(weight) * weight.abs()


@pytest.fixture(scope="module")
def models(model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The trained model, and two with slightly other weights."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    return [model, changed(model, folder / "1.ckpt", shaken), changed(model, folder / "2.ckpt", shaken)]


def joined(models: list[Path]) -> str:
    return f"[{','.join(map(str, models))}]"


def test_several_models_are_one_ensemble(models: list[Path], tmp_path: Path) -> None:
    file = scan(tmp_path / "a.nii.gz")
    assert predict(joined(models), file, tmp_path / "list") == 0
    package = export_ensemble(models, tmp_path / "e.zip")
    assert predict(package.path, file, tmp_path / "package") == 0
    expected = segment(file, models).to_native()
    for name in ("list", "package"):
        assert np.array_equal(np.asarray(nib.load(tmp_path / name / "a_dseg.nii.gz").dataobj), expected)
    sidecar = json.loads((tmp_path / "package" / "a_dseg.json").read_text())
    assert sidecar["settings"]["model_sha256"] == package.sha256
    inputs = json.loads((tmp_path / "list" / "run.json").read_text())["inputs"]
    hashes = [load_model(path).sha256 for path in models]
    assert [inputs[f"member {number}"] for number in (1, 2, 3)] == hashes
    (line,) = rows(tmp_path / "list" / "review.csv")
    listed = json.loads((tmp_path / "list" / "a_dseg.json").read_text())
    assert listed["members"] == sorted(hashes)
    assert 0.8 < float(line["liver_member_dss"]) < 1
    assert line["liver_member_dss"] == f"{listed['member_dss']['liver']:.3f}"
    assert set(listed["review"]["parts"]) >= {"liver_members", "spleen_members"}


def test_members_that_disagree_raise_the_review_score(models: list[Path], tmp_path: Path) -> None:
    odd = changed(models[0], tmp_path / "odd.ckpt", torch.neg)
    file = scan(tmp_path / "a.nii.gz")
    assert predict(joined([models[0], odd]), file, tmp_path / "out") == 0
    parts = json.loads((tmp_path / "out" / "a_dseg.json").read_text())["review"]["parts"]
    assert parts["liver_members"] == 1.0
    (line,) = rows(tmp_path / "out" / "review.csv")
    assert "between the members of the ensemble" in line["reasons"]


def test_probability_maps_are_those_of_segment_and_change_no_label(models: list[Path], tmp_path: Path) -> None:
    file = scan(tmp_path / "a.nii.gz")
    assert predict(joined(models), file, tmp_path / "plain") == 0
    assert predict(joined(models), file, tmp_path / "out", "probabilities=true") == 0
    plain, out = results(tmp_path / "plain"), results(tmp_path / "out")
    assert set(out) - set(plain) == MAPS
    changed = {"a_dseg.json", "measurements.csv", "index.html"}  # the page has links to the maps
    assert {name for name in plain if plain[name] != out[name]} == changed
    _, maps = segment(file, models, probabilities=True)
    grid = nib.load(file)
    soft = {row["structure"]: float(row["volume_soft_cm3"]) for row in rows(tmp_path / "out" / "measurements.csv")}
    for organ, expected in zip(ORGANS, maps, strict=True):
        image = nib.load(tmp_path / "out" / f"a_{organ.key}_probability.nii.gz")
        assert image.get_data_dtype() == np.uint8
        assert image.dataobj.slope == np.float32(1 / 255)
        np.testing.assert_array_equal(image.affine, grid.affine)
        flipped = expected.transpose(2, 1, 0)  # the axes of this image are column, row, slice in the same directions
        assert np.abs(image.get_fdata() - flipped).max() <= 1 / 510 + 1e-6
        assert soft[organ.key] == pytest.approx(expected.sum(dtype=np.float64) * 8 * 8 * 20 / 1000, rel=1e-6)
    assert {row["volume_soft_cm3"] for row in rows(tmp_path / "plain" / "measurements.csv")} == {""}


def test_maps_are_made_when_they_are_missing_and_removed_when_they_are_outdated(
    models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = scan(tmp_path / "a.nii.gz"), tmp_path / "out"

    def kept(model: Path, *more: str) -> bool:
        assert predict(model, file, out, *more) == 0
        return "1 of them made earlier" in capsys.readouterr().out

    assert not kept(models[0])
    assert not kept(models[0], "probabilities=true")
    assert kept(models[0], "probabilities=true")
    assert kept(models[0])  # maps that exist are kept, with their sums
    assert set(results(out)) >= MAPS
    assert all(row["volume_soft_cm3"] for row in rows(out / "measurements.csv"))
    (out / "a_liver_probability.nii.gz").unlink()
    assert not kept(models[0], "probabilities=true")
    assert not kept(models[1])
    assert not MAPS & set(results(out))
    assert not any(row["volume_soft_cm3"] for row in rows(out / "measurements.csv"))
    (out / "a_liver_probability.nii.gz").write_bytes(b"mine")
    assert predict(models[1], file, out) == 2
    assert "LS-PRD-003 case 'a' file 'a_liver_probability.nii.gz'" in capsys.readouterr().err


def test_maps_are_neither_label_maps_nor_scans(
    models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = scan(tmp_path / "scans" / "a.nii.gz").parent
    for made_earlier in (0, 1):  # the second time the maps are in the input
        assert predict(models[0], folder, folder, "probabilities=true") == 0
        captured = capsys.readouterr()
        assert f"1 label map in {folder}, {made_earlier} of them" in captured.out
        assert "probability" not in captured.err
    (folder / "a.nii.gz").unlink()
    assert main(["measure", f"labels={folder}", f"output={tmp_path / 'measure'}"]) == 0
    assert {row["case_id"] for row in rows(tmp_path / "measure" / "measurements.csv")} == {"a"}


def test_shards_of_an_ensemble_write_the_files_of_one_run(models: list[Path], tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for seed, name in enumerate("bc"):  # one in each shard
        scan(tmp_path / "scans" / f"{name}.nii.gz", seed=seed, slices=3)
    words = ("probabilities=true", "flips=true")
    assert predict(joined(models), tmp_path / "scans", tmp_path / "whole", *words) == 0
    for shard in ("2/2", "1/2"):
        assert predict(joined(models[::-1]), tmp_path / "scans", tmp_path / "shards", f"shard={shard}", *words) == 0
    assert results(tmp_path / "whole") == results(tmp_path / "shards")
    assert set(TABLES) <= set(results(tmp_path / "shards"))


def test_fractional_segmentation_is_read_back(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    files = write_series(tmp_path / "ct", exam()[0])
    assert predict(models[0], tmp_path / "ct", tmp_path / "out", "probabilities=true") == 0
    (file,) = (tmp_path / "out").glob("*_probability.dcm")
    _, maps = segment(tmp_path / "ct", models[0], probabilities=True)
    read = highdicom.seg.segread(file)
    assert read.SegmentationFractionalType == "PROBABILITY"
    assert read.SeriesDescription == "Liver and spleen, probability"
    uids = [pydicom.dcmread(one).SOPInstanceUID for one in files]
    values = read.get_pixels_by_source_instance(uids, segment_numbers=[1, 2])  # slice, row, column, segment; as the CT
    assert np.abs(np.moveaxis(values, -1, 0) - maps).max() <= 1 / 510 + 1e-6
    if shutil.which("dciodvfy"):
        checked = subprocess.run(["dciodvfy", "-new", file], capture_output=True, text=True, check=False)
        assert "Segmentation" in checked.stderr + checked.stdout
        assert [line for line in (checked.stderr + checked.stdout).splitlines() if line.startswith("Error")] == []


def test_split_of_one_member_is_rejected(
    models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = next(models[0].parent.rglob("split.csv"))
    other = changed(models[1], tmp_path / "other.ckpt", shaken, split="5" * 64)
    words = (models[0].parents[1] / "cohort.csv", tmp_path / "out", f"split={split}")
    assert predict(joined(models[:2]), *words) == 0
    assert predict(joined([models[0], other]), *words) == 2
    assert "LS-PRD-004" in capsys.readouterr().err


def test_no_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("[]", tmp_path, tmp_path / "out") == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-"))
    assert line.startswith("LS-CFG-002: predict needs model=")
