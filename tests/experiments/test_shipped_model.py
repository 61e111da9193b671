"""The study that makes the shipped model: its settings, its commands, and a small model that is made twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from study_modules import study_modules

from liverspleen.config import compose
from liverspleen.shipped import EXPERIMENT


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    with study_modules("shipped_model", ("run",)) as modules:
        yield modules


def started(study: SimpleNamespace, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the commands of `liverspleen` that the study runs."""
    commands: list[list[str]] = []
    monkeypatch.setattr(study.run, "run_command", lambda command, log: commands.append(command[3:]))
    assert study.run.main(arguments) == 0
    return commands


def test_without_patients_nothing_is_measured(
    study: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = started(study, [f"output={tmp_path}"], monkeypatch)
    assert [command[0] for command in commands] == ["phantom", "train", "export"]
    assert "experiment=phantom_randomised" in commands[1]
    assert not [text for text in commands[1] if text.startswith("trainer.")]


def test_with_patients_the_exported_model_is_measured_and_recorded(
    study: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = started(study, [f"output={tmp_path}", "test=c.csv", "name=two public CT"], monkeypatch)
    assert [command[0] for command in commands[3:]] == ["predict", "measure", "export"]
    assert f"model={tmp_path / 'package'}" in commands[3]
    assert {"tested_on=two public CT", "tested_cohort=c.csv", "tested_design=true"} <= set(commands[5])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "output= is missing"),
        (["output=o", "test=c.csv"], "test= and name= belong together"),
        (["output=o", "phantoms=3"], "phantoms=3 is not a whole number of at least 20"),
        (["output=o", "steps=many"], "steps=many"),
    ],
)
def test_settings_that_are_not_valid(
    study: SimpleNamespace, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.run.main(arguments) == 2
    shown = capsys.readouterr().err
    assert words in shown
    assert len(shown.splitlines()) == 1


def test_other_settings_are_rejected_in_the_same_folder(
    study: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(study, [f"output={tmp_path}", "steps=5"], monkeypatch)
    assert study.run.main([f"output={tmp_path}", "steps=6"]) == 2


def test_start_from_the_shipped_model_has_its_network_and_input() -> None:
    paths = ["cohort=cohort.csv", "output=run"]
    made, started = (compose("train", [f"experiment={name}", *paths]) for name in ("phantom_randomised", EXPERIMENT))
    assert (made.network, made.slices) == (started.network, started.slices)
    assert started.start is not None


@pytest.mark.slow
def test_a_small_model_is_made_twice_with_equal_weights(study: SimpleNamespace, tmp_path: Path) -> None:
    arguments = [f"output={tmp_path}", "phantoms=20", "steps=3", "workers=1"]
    assert study.run.main(arguments) == 0
    weights = tmp_path / "package" / "model.safetensors"
    first = weights.read_bytes()
    shutil.rmtree(tmp_path / "model")
    shutil.rmtree(tmp_path / "package")
    assert study.run.main(arguments) == 0
    assert weights.read_bytes() == first
    card = (tmp_path / "package" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "TRAINED ON PHANTOMS ONLY" in card
    assert "Apache-2.0" in card
