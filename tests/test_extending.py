"""The files of docs/extending.md, and its commands with fewer and shorter trainings."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from liverspleen.cli.main import main
from liverspleen.config import SCHEMAS, compose, keys
from liverspleen.networks import own
from liverspleen.sweep.space import Space

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [shlex.split(line) for line in PAGE.splitlines() if re.match(r"    (liverspleen|python) ", line)]
SHORT = {
    "train": ["trainer.steps=2", "trainer.batch_size=2", "trainer.validate_every=2"],
    "sweep": [
        "trainer.steps=2",
        "trainer.batch_size=2",
        "trainer.validate_every=2",
        "trials=2",
        "leaders=1",
        "seeds=1",
    ],
    "info": ["matrix=32"],
    "predict": ["workers=1"],
}


@pytest.fixture
def folder(box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files of the page and a cohort."""
    cohort = box_cohort()
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(cohort.parent)
    (cohort.parent / "my_conf").symlink_to(tmp_path / "my_conf")
    monkeypatch.setattr(own, "__path__", [str(tmp_path / "src/liverspleen/networks/own")])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(f"{own.__name__}.")]:
        del sys.modules[name]


def commands(verb: str) -> list[list[str]]:
    return [command[2:] for command in COMMANDS if command[:2] == ["liverspleen", verb]]


def test_page_has_the_files_and_commands_that_are_run_here() -> None:
    assert sorted(FILES) == [
        "experiments/averaging/run.py",
        "my_conf/network/dilated.yaml",
        "my_conf/network/resnet18.yaml",
        "my_conf/network/thin_unet.yaml",
        "my_conf/search/noise.yaml",
        "src/liverspleen/networks/own/dilated.py",
        "src/liverspleen/phantom/pancreas.py",
    ]
    found = [command[1] for command in COMMANDS]
    assert found == ["sweep", "info", "train", "train", "predict", "experiments/averaging/run.py"]


def test_networks_of_the_page_are_trained_and_predict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (info,) = commands("info")
    assert main(["info", *info, *SHORT["info"]]) == 0
    assert "deeplab resnet18" in capsys.readouterr().out
    thin, dilated = commands("train")
    for overrides in (thin, dilated):
        assert main(["train", *overrides, *SHORT["train"]]) == 0, capsys.readouterr().err
    weights = torch.load("thin/last.ckpt", weights_only=True)["state_dict"]
    assert next(iter(weights.values())).shape[:2] == (4, 3)  # width 4 of three slices
    (predict,) = commands("predict")
    assert main(["predict", *predict, *SHORT["predict"]]) == 0, capsys.readouterr().err
    assert len(list(Path("dilated/labels").glob("*_dseg.nii.gz"))) == 4


def test_limits_of_the_page_are_the_keys_of_the_schema() -> None:
    listed = re.search(r"keys of `NetworkConfig`\*\* \(`([^`]+)`\)", PAGE)
    assert listed
    names = {key.name.removeprefix("network.") for key in keys(SCHEMAS["train"]) if key.name.startswith("network.")}
    assert set(listed[1].split(", ")) == names - {"name", "output_stride", "weights"}


@pytest.mark.slow
def test_study_of_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "averaging.py"
    file.write_text(FILES["experiments/averaging/run.py"], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("averaging", file)
    assert spec
    assert spec.loader
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    assert study.main([f"output={tmp_path / 'out'}", "development=3", "matrix=32", "steps=2"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| last", "| moving"))]
    assert [row.split(" | ")[1] for row in rows] == ["1", "1"]
    assert (tmp_path / "out" / "moving_average" / "run.json").is_file()


def test_search_of_the_page_is_accepted_by_a_sweep(folder: Path) -> None:
    (overrides,) = commands("sweep")
    search = compose("sweep", overrides).search
    names = [parameter.name for parameter in Space.of(search.parameters).parameters]
    assert names == ["augmentation.noise", "augmentation.blur_px", "optimizer.lr"]


@pytest.mark.slow
def test_search_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (overrides,) = commands("sweep")
    assert main(["sweep", *overrides, *SHORT["sweep"]]) == 0, capsys.readouterr().err
    with Path("sweep/trials.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["phase"], row["state"]) for row in rows] == [
        ("search", "complete"),
        ("search", "complete"),
        ("confirm", "complete"),
    ]
    assert all(0 <= float(row["augmentation.noise"]) <= 0.1 for row in rows)
    assert {row["augmentation.blur_px"] for row in rows} <= {"0.0", "0.5", "1.0"}
    record = json.loads(Path("sweep/trials/0000/run.json").read_text(encoding="utf-8"))
    assert record["config"]["augmentation"]["noise"] == float(rows[0]["augmentation.noise"])
