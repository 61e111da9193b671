"""The shipped model: what its name means, its use without `model=`, and a training that starts from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packages import package, rewrite, save

import liverspleen
from liverspleen import shipped
from liverspleen.api.starting import open_start
from liverspleen.cli.main import main
from liverspleen.config import compose
from liverspleen.errors import InputError, InputWarning
from liverspleen.inference import load_ensemble
from liverspleen.inference.model import load_model
from liverspleen.inference.untrusted.model_file import checked_model

sys.path.append(str(Path(__file__).parents[1] / "cli"))
from predicting import scan

Captured = pytest.CaptureFixture[str]
LIVER = {"n": 2, "dss_mean": 0.9, "dss_mean_ci": [0.8, 0.95], "dss_prediction_interval": [0.7, 1.0]}
LIVER |= {"dss_lowest": 0.88, "lowest_case": "c1", "empty": 0, "missing": 0, "undefined": 0, "reason": None}
TESTED = {"on": "two CT scans", "design": True, "measurements_sha256": "5" * 64, "cases": 2, "patients": 2}
TESTED |= {"new_patients": 6, "organs": {"liver": LIVER, "spleen": {**LIVER, "dss_mean": 0.89}}}
LINE = "LS-MOD-033: model was trained on phantoms only; design choices were checked on two CT scans: mean DSS liver "
LINE += "0.900 (lowest 0.880, n 2), spleen 0.890 (lowest 0.880, n 2); research use only"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the shipped model, without one, and an empty working directory."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "installed" / "phantom")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "installed" / "phantom"


@pytest.fixture
def installed(folder: Path, tmp_path: Path) -> Path:
    """The same place with a tiny model of phantoms that has test results."""
    folder.mkdir(parents=True)
    package(folder, save(tmp_path / "best.ckpt", origins={"phantom": 3}))
    rewrite(folder, lambda content: content.update(tested=TESTED))
    return folder


def run_json(output: Path) -> dict[str, Any]:
    return json.loads((output / "run.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("words", [[], ["model=phantom"]])
def test_predict_uses_the_shipped_model_and_says_what_it_is(
    words: list[str], installed: Path, tmp_path: Path, capsys: Captured
) -> None:
    scan(tmp_path / "ct.nii.gz")
    assert main(["predict", f"input={tmp_path / 'ct.nii.gz'}", "output=out", *words]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "LS-MOD" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"warning: {LINE}")
    record = run_json(Path("out"))
    assert record["config"]["model"] == [str(installed)]
    assert record["inputs"]["model"] == checked_model(installed).sha256
    assert Path("out/ct_dseg.nii.gz").exists()


def test_python_uses_the_shipped_model(installed: Path, tmp_path: Path) -> None:
    scan(tmp_path / "ct.nii.gz")
    with pytest.warns(InputWarning) as caught:
        found = liverspleen.predict(input=tmp_path / "ct.nii.gz", output="out")
    assert any(LINE in str(warning.message) for warning in caught)
    assert [*found.label_maps] == ["ct"]
    expected = checked_model(installed).sha256
    assert load_model("phantom").sha256 == load_ensemble("phantom").sha256 == expected


def test_info_describes_the_shipped_model(installed: Path, capsys: Captured) -> None:
    assert main(["info"]) == 0
    assert "phantom, shipped" in capsys.readouterr().out
    assert main(["info", "model=phantom"]) == 0
    assert checked_model(installed).sha256 in capsys.readouterr().out


def test_the_shipped_model_is_a_package_for_export(installed: Path, capsys: Captured) -> None:
    assert main(["export", "model=phantom", "output=package"]) == 2
    assert "LS-XPT-014" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["model=phantom"]])
def test_an_installation_without_the_model_is_one_line(
    words: list[str], folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    scan(tmp_path / "ct.nii.gz")
    assert main(["predict", f"input={tmp_path / 'ct.nii.gz'}", "output=out", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("LS-MOD-030: this installation has no shipped model 'phantom'; give a checkpoint or model")
    assert main(["info"]) == 0
    assert "no shipped model" in capsys.readouterr().out


def test_an_installation_with_a_part_of_the_model_has_none(installed: Path) -> None:
    (installed / "model.json").unlink()
    with pytest.raises(InputError, match="LS-MOD-030"):
        load_model("phantom")


def test_a_path_with_a_separator_is_a_path(installed: Path, tmp_path: Path) -> None:
    package(Path("phantom"), save(tmp_path / "other.ckpt", origins={"": 3}))
    for text in ("./phantom", "phantom/", str(Path.cwd() / "phantom")):
        (path,) = compose("predict", [f"model={text}", "input=a", "output=b"]).model
        assert path == Path.cwd() / "phantom"
        assert checked_model(path).sha256 != checked_model(installed).sha256
    assert compose("predict", ["model=a/phantom", "input=a", "output=b"]).model == [Path("a/phantom")]


def folder_with(*names: str) -> Callable[[], None]:
    def make() -> None:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text("{}")

    return make


@pytest.mark.parametrize("name", ["phantom/model.json", "phantom/ensemble.json", "phantom"])
@pytest.mark.parametrize("verb", ["predict", "train", "info", "export"])
def test_a_model_of_the_same_name_in_the_working_directory_is_ambiguous(
    name: str, verb: str, installed: Path, capsys: Captured
) -> None:
    folder_with(name)()
    more = {
        "predict": ["input=a", "output=b"],
        "train": ["cohort=a", "output=b", "start=phantom"],
        "info": ["model=phantom"],
        "export": ["model=phantom", "output=b"],
    }
    assert main([verb, *more[verb]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("LS-MOD-031 file 'phantom': 'phantom' is the name of the shipped model, but")
    assert line.endswith("write ./phantom to use it, or rename it to use the shipped model")


def test_a_cohort_of_the_same_name_is_no_model(installed: Path) -> None:
    folder_with("phantom/cohort.csv")()
    assert compose("predict", ["input=a", "output=b"]).model == [installed]


def test_a_list_of_models_may_have_the_name(installed: Path) -> None:
    assert compose("predict", ["model=[phantom,a.ckpt]", "input=a", "output=b"]).model == [installed, Path("a.ckpt")]


def test_an_empty_model_is_not_the_shipped_one(installed: Path, capsys: Captured) -> None:
    assert main(["predict", "model=", "input=a", "output=b"]) == 2
    assert "LS-CFG-002: predict needs model=" in capsys.readouterr().err


SHORT = ["trainer.steps=2", "trainer.validate_every=2", "trainer.batch_size=4", "scheduler.warmup=1", "freeze_steps=1"]
SHORT += ["trainer=cpu"]


def test_one_command_starts_a_training_from_the_shipped_model(
    folder: Path, box_cohort: Callable[..., Path], capsys: Captured
) -> None:
    cohort = box_cohort(origin=["phantom"] * 4)
    like = ["experiment=phantom_randomised", "train_fraction=0.8", *SHORT[:3]]
    assert main(["train", f"cohort={cohort}", "output=first", *like]) == 0
    assert main(["export", "model=first/last.ckpt", f"output={folder}"]) == 0
    capsys.readouterr()
    words = ["train", f"cohort={cohort}", "split=first/split.csv", *SHORT]
    assert main([*words, "output=run", "experiment=finetune_phantom"]) == 0
    assert "tensors loaded" in "".join(capsys.readouterr())
    record = run_json(Path("run"))
    sha256 = checked_model(folder).sha256
    assert (record["inputs"]["start"], record["start"]["weights"]["new"]) == (sha256, 0)
    assert checked_model(Path("run/last.ckpt")).description["ancestors"][0]["sha256"] == sha256
    assert main([*words[:-2], "output=other", "start=phantom"]) == 2
    assert "LS-TRN-032" in (error := capsys.readouterr().err)
    assert "use experiment=finetune_phantom" in error


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling, which builds the wheel, is not installed")
def test_the_wheel_has_the_files_of_the_model(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for name in ("src", "conf"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path)
    place = tmp_path / "src" / shipped.FOLDER.relative_to(root / "src")
    place.mkdir(exist_ok=True)
    names = ("model.json", "model.safetensors", "MODEL_CARD.md", "LICENSE")
    for name in names:
        (place / name).write_bytes(b"tiny")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    (wheel,) = (tmp_path / "dist").iterdir()
    with zipfile.ZipFile(wheel) as opened:
        assert {opened.read(f"liverspleen/shipped/phantom/{name}") for name in names} == {b"tiny"}


@pytest.mark.skipif(not shipped.is_installed(), reason="this source tree has no shipped model")
def test_the_shipped_model_is_small_and_states_what_it_is() -> None:
    found = checked_model(shipped.FOLDER)
    assert sum(file.stat().st_size for file in shipped.FOLDER.iterdir()) <= 12_000_000
    assert found.package["license"] == "Apache-2.0"
    assert found.package["phantoms_only"]
    card = (shipped.FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "trained on phantoms only; design choices were checked on twelve public CT" in card


@pytest.mark.skipif(not shipped.is_installed(), reason="this source tree has no shipped model")
def test_the_experiment_has_the_network_and_the_input_of_the_shipped_model() -> None:
    config = compose("train", ["cohort=a", "output=b", f"experiment={shipped.EXPERIMENT}"])
    assert open_start(config) is not None  # else LS-TRN-032 or LS-TRN-033
    about = checked_model(shipped.FOLDER).description
    slices = config.slices
    assert (slices.count, slices.distance_mm, slices.pixel_mm) == (
        about["slices"],
        about["slice_distance_mm"],
        about["pixel_mm"],
    )
