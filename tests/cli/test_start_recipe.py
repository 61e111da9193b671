"""The commands of the section on start models of the page on training."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from liverspleen import train
from liverspleen.cli.main import main
from liverspleen.phantom.cohort import write_phantom_cohort

ROOT = Path(__file__).parents[2]
SHORT = ["trainer=cpu", "trainer.steps=4", "trainer.validate_every=4", "freeze_steps=2", "scheduler.warmup=1"]


@pytest.mark.slow
def test_the_recipe_ends_in_a_model_that_states_its_start_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("first", "second")):
        write_phantom_cohort(
            tmp_path / name, development=4, test1=0, pairs=0, seed=seed, matrix=32, thickness_mm=(8.0, 8.0)
        )
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    text = page.split("## Start from a trained model\n")[1].split("\n## ")[0]
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("    liverspleen ")]
    assert [command[1] for command in commands] == ["train", "export", "train", "train"]
    for _, verb, *words in commands:
        short = SHORT if any(word.startswith("experiment=finetune") for word in words) else SHORT[:-2]
        assert main([verb, *words, *(short if verb == "train" else [])]) == 0
    assert json.loads(Path("second/phantom/run.json").read_text(encoding="utf-8"))["start"]["weights"]["new"] == 0
    start = json.loads(Path("second/run/run.json").read_text(encoding="utf-8"))["start"]
    assert start["weights"]["loaded"] > start["weights"]["new"] == 0
    again = train(  # in Python, the same training
        cohort="second/cohort.csv",
        output="third",
        split="second/run/split.csv",
        start="first/model.zip",
        experiment="finetune",
        network="small",
        slices="abdomen",
        trainer="cpu",
        freeze_steps=2,
        **{"trainer.steps": 4, "trainer.validate_every": 4, "scheduler.warmup": 1},
    )
    assert (again.output / "model.safetensors").read_bytes() == Path("second/run/model.safetensors").read_bytes()
