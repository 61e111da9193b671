"""A model that was taught one organ reports the other one nowhere: it is unknown, not absent."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from packages import description, network, package, save
from stand_ins import volume

from liverspleen.cli.main import main
from liverspleen.imaging.dicom import write_series
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.inference.segment import segment
from liverspleen.organs import Structure

HU = np.random.default_rng(0).integers(-40, 160, (5, 32, 32))
HU[:, :4] -= 950  # air
CT = volume(HU)
BOTH = np.zeros((5, 32, 32), np.uint8)
BOTH[1:4, 8:24, 18:28], BOTH[1:4, 16:24, 4:10] = Structure.LIVER, Structure.SPLEEN


def predict(model: Path, source: Path, output: Path) -> int:
    return main(["predict", f"model={model}", f"input={source}", f"output={output}"])


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture
def spleen_everywhere(tmp_path: Path) -> Path:
    """A checkpoint that predicts spleen in each voxel, although it was taught the liver only."""
    trained = network()
    (last,) = [layer for layer in trained.modules() if getattr(layer, "out_channels", 0) == len(Structure)][-1:]
    last.bias.data[Structure.SPLEEN] = 1000.0
    everywhere = segment(CT, save(tmp_path / "both.ckpt", trained))
    assert everywhere.count(Structure.SPLEEN) == CT.hu.size
    return save(tmp_path / "liver.ckpt", trained, taught_organs=["liver"])


def test_no_file_of_a_prediction_reports_an_organ_that_was_not_taught(
    spleen_everywhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_series(tmp_path / "in" / "ct", CT)
    assert predict(spleen_everywhere, tmp_path / "in", tmp_path / "out") == 0
    assert "warning: LS-MOD-020: model was taught liver only; spleen is unknown" in capsys.readouterr().err
    out = tmp_path / "out"
    assert [row["structure"] for row in rows(out / "measurements.csv")] == ["liver"]
    assert "spleen" not in (out / "dseg.tsv").read_text().lower()
    (review,) = rows(out / "review.csv")
    assert (review["liver_status"], review["spleen_status"], review["spleen_faces"]) == ("absent", "not taught", "")
    (file,) = out.glob("*_dseg.nii.gz")
    assert not np.asanyarray(nibabel.load(file).dataobj).any()
    assert json.loads(file.with_name(file.name.replace(".nii.gz", ".json")).read_text())["covered"] == ["liver"]
    assert segment(CT, spleen_everywhere).covered == (Structure.LIVER,)


def test_measure_knows_what_a_prediction_covers(spleen_everywhere: Path, tmp_path: Path) -> None:
    write_ct(tmp_path / "in" / "a.nii.gz", CT)
    assert predict(spleen_everywhere, tmp_path / "in", tmp_path / "out") == 0
    write_label_map(tmp_path / "two" / "a.nii.gz", LabelMap(BOTH, CT.geometry))
    for names in ("dseg.tsv", "a_dseg.json"):  # each of them alone says it
        assert (
            main(
                ["measure", f"labels={tmp_path / 'out'}", f"reference={tmp_path / 'two'}", f"output={tmp_path / names}"]
            )
            == 0
        )
        found = [(row["structure"], row["reader"]) for row in rows(tmp_path / names / "measurements.csv")]
        assert found == [("liver", "dla"), ("liver", "manual"), ("spleen", "manual")]
        (tmp_path / "out" / names).unlink()


def test_a_spleen_drawn_into_a_prediction_of_livers_is_an_error(
    spleen_everywhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ct(tmp_path / "in" / "a.nii.gz", CT)
    predict(spleen_everywhere, tmp_path / "in", tmp_path / "out")
    write_label_map(tmp_path / "out" / "a_dseg.nii.gz", LabelMap(BOTH, CT.geometry))
    run = [f"labels={tmp_path / 'out'}", f"output={tmp_path / 'm'}"]
    assert main(["measure", *run]) == 2
    assert "LS-LAB-001" in capsys.readouterr().err
    assert main(["measure", *run, "label_values=liverspleen"]) == 2
    assert "LS-LAB-052" in capsys.readouterr().err


def test_card_and_info_say_which_organs_were_taught(
    spleen_everywhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package(tmp_path / "package", spleen_everywhere)
    card = (tmp_path / "package" / "MODEL_CARD.md").read_text()
    assert "# test\n\nSegmentation of liver on CT" in card
    assert "Taught liver only" in card
    assert "- spleen" not in card
    assert main(["info", f"model={tmp_path / 'package'}"]) == 0
    assert "organs taught      liver\n" in capsys.readouterr().out


@pytest.mark.parametrize("stated", [None, [], ["lung"], ["spleen", "liver"], ["liver", "liver"], "liver"])
def test_a_model_that_does_not_state_its_organs_is_rejected(
    tmp_path: Path, stated: object, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ct(tmp_path / "in" / "a.nii.gz", CT)
    assert predict(save(tmp_path / "m.ckpt", taught_organs=stated), tmp_path / "in", tmp_path / "out") == 2
    assert "LS-MOD-008" in capsys.readouterr().err
    assert description()["taught_organs"] == ["liver", "spleen"]
