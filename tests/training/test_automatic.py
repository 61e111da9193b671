"""`trainer.precision=auto` and `slices.pixel_mm=auto`: the value, its records, and resumed trainings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from nibabel.nifti1 import Nifti1Image, save
from tiny import split_file, train

from liverspleen import assemble
from liverspleen.api import automatic
from liverspleen.api.automatic import precision_of
from liverspleen.cli.main import main
from liverspleen.cohort.manifest import read_cohort
from liverspleen.config import compose
from liverspleen.data.pixel_size import median_pixel_mm
from liverspleen.errors import InputError
from liverspleen.inference.model import load_model


def with_pixels(manifest: Path, sizes_mm: dict[str, tuple[float, float]]) -> None:
    """Give images of the box cohort other spacings in the plane; the label maps too."""
    import nibabel as nib

    for name, (first, second) in sizes_mm.items():
        for file in manifest.parent.glob(f"{name}*.nii.gz"):
            image: Any = nib.nifti1.load(file)
            affine = image.affine @ np.diag([first / 2, second / 2, 1, 1])  # pixels of 2 mm before
            save(Nifti1Image(np.asanyarray(image.dataobj), affine), file)


@pytest.mark.parametrize(
    ("accelerator", "cuda", "bf16", "expected"),
    [
        ("auto", True, True, "bf16-mixed"),
        ("auto", True, False, "32-true"),
        ("gpu", True, True, "bf16-mixed"),
        ("cpu", True, True, "32-true"),
        ("auto", False, True, "32-true"),
    ],
)
def test_precision_is_bf16_on_a_gpu_that_supports_it(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, cuda: bool, bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16 and not including_emulation)
    config = compose("train", ["cohort=c.csv", "output=run", f"trainer.accelerator={accelerator}"])
    assert config.trainer.precision == "auto"
    assert precision_of(config.trainer) == expected
    given = replace(config.trainer, precision="16-mixed")
    assert precision_of(given) == "16-mixed"


def test_a_resumed_training_keeps_its_precision(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    auto = ("trainer.precision=auto", "scheduler=constant")
    assert train(cohort, run, *auto, steps=2) == 0
    assert "train: trainer.precision=auto: 32-true\n" in capsys.readouterr().out
    recorded = torch.load(run / "last.ckpt", weights_only=True)["liverspleen_recipe"]["keys"]
    assert recorded["trainer.precision"] == "32-true"
    monkeypatch.setattr(automatic, "precision_of", lambda choice: "bf16-mixed")  # another machine
    assert train(cohort, run, *auto, steps=3) == 0
    assert "train: trainer.precision=auto: 32-true, as in last.ckpt\n" in capsys.readouterr().out
    record = json.loads((run / "run.json").read_text())
    assert record["decided"] == {"trainer.precision": "32-true"}
    assert record["config"]["trainer"]["precision"] == "32-true"
    assert train(cohort, run, "trainer.precision=32-true", "scheduler=constant", steps=3) == 0  # the same value


def test_a_recorded_precision_that_the_device_does_not_support_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from liverspleen.training.recipe import Recipe
    from liverspleen.training.resumption import Resumption

    monkeypatch.setattr(assemble, "has_bf16_instructions", lambda: False)
    config = compose("train", ["cohort=c.csv", "output=run", "trainer.accelerator=cpu"])
    done = Resumption(Path("last.ckpt"), recipe=Recipe({"trainer.precision": "bf16-mixed"}, "", "", {}))
    decisions = automatic.Decisions(SimpleNamespace(decided={}), lambda line: None, 0.0)  # type: ignore[arg-type]
    with pytest.raises(InputError) as rejected:
        decisions.precision(config, Recipe({"trainer.precision": "auto"}, "", "", {}), done)
    assert [issue.code for issue in rejected.value.issues] == ["LS-TRN-044"]


def test_pixel_size_is_the_median_of_the_training_cases_alone(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, run, cache = box_cohort(), tmp_path / "run", tmp_path / "cache"
    # training 1.2, 1.6 and sqrt(1 x 4) = 2.0 mm, so 1.6; with the validation case of 1.0 mm it were 1.4
    with_pixels(manifest, {"c0": (1.2, 1.2), "c1": (1.0, 4.0), "c2": (1.6, 1.6), "c3": (1.0, 1.0)})
    split = split_file(manifest, tmp_path / "split.csv", ("p0", "p1", "p2"), ("p3",))
    given = (f"split={split}", f"cache={cache}")
    prepare = ["prepare", f"cohort={manifest}", f"cache={cache}", "pixel_mm=auto"]
    assert main([*prepare, f"split={split}"]) == 0
    assert "prepare: pixel_mm=auto: 1.6 mm, the median of 3 training cases" in capsys.readouterr().out
    stored = {folder.name for folder in cache.iterdir() if folder.is_dir()}
    assert train(manifest, run, *given, "slices.pixel_mm=auto", steps=2) == 0
    assert "train: slices.pixel_mm=auto: 1.6 mm, the median of 3 training cases" in capsys.readouterr().out
    assert {folder.name for folder in cache.iterdir() if folder.is_dir()} == stored  # the same keys
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    assert checkpoint["liverspleen"]["pixel_mm"] == load_model(run / "last.ckpt").pixel_mm == 1.6
    assert checkpoint["liverspleen_recipe"]["keys"]["slices.pixel_mm"] == 1.6
    assert json.loads((run / "run.json").read_text())["config"]["slices"]["pixel_mm"] == 1.6
    assert train(manifest, run, *given, "slices.pixel_mm=1.6", steps=2) == 0  # the same training
    assert main(prepare) == 2
    assert "LS-CFG-002: prepare pixel_mm=auto needs split=" in capsys.readouterr().err


def test_median_is_rounded_and_headers_that_cannot_be_read_are_skipped(box_cohort: Callable[..., Path]) -> None:
    manifest = box_cohort()
    with_pixels(manifest, {"c0": (0.7034, 0.7034), "c1": (0.8166, 0.8166)})
    (manifest.parent / "c2.nii.gz").write_bytes(b"damaged")
    cases = read_cohort(manifest).cases
    assert median_pixel_mm(cases[:3]) == 0.76  # (0.7034 + 0.8166) / 2
    assert median_pixel_mm(cases[2:3]) is None
    with_pixels(manifest, {"c3": (0.05, 0.05)})
    with pytest.raises(InputError) as rejected:
        median_pixel_mm(cases[3:])
    assert [issue.code for issue in rejected.value.issues] == ["LS-TRN-045"]


def test_steps_and_minutes_together_are_an_error_wherever_they_are_given() -> None:
    given = ["cohort=c.csv", "output=run"]
    message = "trainer.steps= and trainer.minutes= are both given, and each determines the length"
    for more, values in (
        (["trainer.steps=4", "trainer.minutes=3"], {}),
        (["trainer={minutes:3,steps:4}"], {}),
        (["trainer.minutes=3"], {"trainer": {"steps": 4}}),
    ):
        with pytest.raises(InputError) as rejected:
            compose("train", [*given, *more], values=values)
        assert [(issue.code, issue.message) for issue in rejected.value.issues] == [("LS-CFG-016", message)]


def test_the_length_of_the_command_line_replaces_that_of_a_choice(tmp_path: Path) -> None:
    own = tmp_path / "trainer/short.yaml"
    own.parent.mkdir()
    own.write_text("# Trainer: short.\ndefaults:\n  - default\n  - _self_\nminutes: 30\n")
    given = ["cohort=c.csv", "output=run", f"conf={tmp_path}", "trainer=short"]
    assert compose("train", given).trainer.minutes == 30
    assert compose("train", [*given, "trainer.steps=7"]).trainer.minutes is None
    assert compose("train", [*given, "trainer.minutes=", "trainer.steps=7"]).trainer.steps == 7
    assert (
        compose("train", ["cohort=c.csv", "output=run", "experiment=phantom", "trainer.minutes=3"]).trainer.minutes == 3
    )
