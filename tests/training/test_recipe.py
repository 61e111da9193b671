"""Comparison of a resumed training with its recipe: new keys are accepted, differences are reported."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import assert_same_result, split_file, train

from liverspleen.assemble import neutral_values
from liverspleen.cohort import write_cohort
from liverspleen.config import TrainConfig, keys
from liverspleen.imaging.files import read_ct
from liverspleen.imaging.nifti import write_ct
from liverspleen.imaging.volume import CTVolume
from liverspleen.training.checkpoint_files import with_checksum
from liverspleen.training.module import SegmentationModule
from liverspleen.training.recipe import NOT_COMPARED, RECIPE_KEY, Recipe, is_compared, recorded_recipe

Cohorts = Callable[..., Path]
Captured = pytest.CaptureFixture[str]

RECORDED_FROM_THE_FIRST = {
    "slices": "count window_lower_hu window_upper_hu clip distance_mm pixel_mm",
    "sampler": "name",
    "augmentation": "rotation_deg scale shift gain offset noise blur_px thickness",
    "network": "name output_stride encoder weights skip_stride rates pyramid_channels skip_channels dropout width",
    "loss": "dice_weight ce_weight boundary_weight boundary_px focal_weight focal_gamma "
    "tversky_weight tversky_alpha tversky_beta",
    "optimizer": "name lr weight_decay",
    "scheduler": "name power factor every",
    "trainer": "batch_size accumulate devices nodes sync_batchnorm ema_decay precision channels_last compile fused",
}
"""Keys in every checkpoint with a recipe, besides `seed`.

Nothing is ever added here: a checkpoint may lack a key that is newer.
"""


def test_added_and_removed_keys_have_a_neutral_value() -> None:
    """With a new key of `train` that has no neutral value and is not in NOT_COMPARED, no run could be resumed."""
    compared = {key.name for key in keys(TrainConfig) if is_compared(key.name)}
    first = {f"{group}.{name}" for group, names in RECORDED_FROM_THE_FIRST.items() for name in names.split()}
    assert (compared ^ (first | {"seed"})) <= neutral_values().keys()


def test_every_key_that_may_change_is_a_key_of_train() -> None:
    known = {key.name for key in keys(TrainConfig)}
    groups = {name.partition(".")[0] for name in known if "." in name}
    assert NOT_COMPARED.keys() <= known | groups
    assert all(NOT_COMPARED.values())


def recipe(keys: dict[str, Any] | None = None, cases: dict[str, dict[str, str]] | None = None) -> Recipe:
    found = cases or {"training": {"a": "1", "b": "2"}, "validation": {"c": "3"}}
    return Recipe({"lr": 0.1, **(keys or {})}, "c" * 64, "5" * 64, found)


@pytest.mark.parametrize(
    ("training", "validation", "expected"),
    [
        ({"a": "1", "b": "2"}, {"c": "3"}, []),
        ({"a": "1", "b": "x"}, {"c": "y"}, ["2 cases differ, first 'b' (image or label map changed)"]),
        (
            {"a": "1", "b": "2", "c": "3"},
            {},
            ["1 case differs, first 'c' (was a validation case, now a training case)"],
        ),
        ({"a": "1"}, {"c": "3"}, ["1 case differs, first 'b' (missing)"]),
        ({"a": "1", "b": "2", "d": "4"}, {"c": "3"}, ["1 case differs, first 'd' (added)"]),
        ({"b": "2", "a": "1"}, {"c": "3"}, ["the order of the cases differs"]),
    ],
)
def test_changed_cases_are_counted_and_the_first_is_reported(
    training: dict[str, str], validation: dict[str, str], expected: list[str]
) -> None:
    now = recipe(cases={"training": training, "validation": validation})
    assert now.differences(recipe(), {}) == expected


def test_a_recipe_is_read_as_recorded_and_anything_else_is_damaged() -> None:
    plain = recipe().plain()
    assert recorded_recipe({RECIPE_KEY: plain}) == recipe()
    for broken in (None, [], {}, plain | {"more": 1}, plain | {"cohort": 1}, plain | {"cases": {"training": ["a"]}}):
        assert recorded_recipe({RECIPE_KEY: broken}) is None
    assert recorded_recipe({}) is None


def rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a checkpoint."""
    content = torch.load(file, weights_only=True)
    change(content)
    torch.save(with_checksum(content), file)


def forget(folder: Path, *names: str) -> None:
    """Change checkpoints to those of a version without these keys."""
    for file in folder.glob("*.ckpt"):
        rewrite(file, lambda content: [content[RECIPE_KEY]["keys"].pop(name) for name in names])


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Interrupt a training in the middle of that step."""
    whole = SegmentationModule.training_step

    def disturbed(self: SegmentationModule, batch: object, index: int) -> torch.Tensor:
        if self.global_step == step:
            raise KeyboardInterrupt
        return whole(self, batch, index)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentationModule, "training_step", disturbed)


def rejection(capsys: Captured) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    return line


def test_a_training_of_a_version_without_a_key_resumes_to_the_uninterrupted_result(
    box_cohort: Cohorts, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, whole, cut = box_cohort(), tmp_path / "whole", tmp_path / "cut"
    assert train(cohort, whole, steps=5) == 0
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        assert train(cohort, cut, steps=5) == 1
    forget(cut, "trainer.ema_decay", "slices.pixel_mm")
    before = (cut / "last.ckpt").read_bytes()
    capsys.readouterr()
    assert train(cohort, cut, "trainer.ema_decay=0.9", "slices.pixel_mm=4", steps=5) == 2
    line = rejection(capsys)
    assert line.startswith("LS-TRN-004 file")
    assert "trainer.ema_decay was null (not recorded), now 0.9" in line
    assert "slices.pixel_mm was null (not recorded), now 4.0" in line
    assert (cut / "last.ckpt").read_bytes() == before
    assert train(cohort, cut, steps=5) == 0
    assert_same_result(whole, cut)
    assert torch.load(cut / "last.ckpt", weights_only=True)[RECIPE_KEY]["keys"]["trainer.ema_decay"] is None


def test_all_differences_are_reported_in_one_line(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    weights = tmp_path / "encoder.pth"
    assert train(cohort, run, steps=1) == 0
    weights.write_bytes(b"other")
    # an image changes, and a patient changes the side
    image = cohort.parent / "c0.nii.gz"
    ct = read_ct(image)
    write_ct(image, CTVolume(ct.hu + np.int16(1), ct.geometry))
    rows = list(csv.DictReader(cohort.read_text().splitlines()))
    write_cohort(cohort, [row | {"condition": "fatty"} for row in rows])
    split = split_file(cohort, tmp_path / "split.csv", ("p0", "p1", "p2"), ("p3",))
    capsys.readouterr()
    other = ("optimizer.lr=0.01", "loss.dice_weight=0.5", f"network.weights={weights}", "seed=3", f"split={split}")
    assert train(cohort, run, *other, steps=2) == 2
    line = rejection(capsys)
    for text in (
        "seed was 0, now 3; ",
        f"network.weights was null, now sha256 {hashlib.sha256(b'other').hexdigest()}; ",
        "loss.dice_weight was 1.0, now 0.5; ",
        "optimizer.lr was 0.005, now 0.01; ",
        "cohort had the hash ",
        "split had the hash ",
        "first 'c",
    ):
        assert text in line, line


def test_options_of_validation_and_length_may_change(box_cohort: Cohorts, tmp_path: Path) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, steps=1) == 0
    shutil.move(cohort.parent, tmp_path / "elsewhere")  # paths have no influence
    other = ("trainer.workers=1", "trainer.patience=9", f"cache={tmp_path / 'cache'}", f"split={run / 'split.csv'}")
    assert train(tmp_path / "elsewhere/cohort.csv", run, *other, steps=2, every=1) == 0
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.parametrize("number", [None, 4, 6, "5", True, [5]])
def test_a_checkpoint_of_another_format_is_rejected_before_anything_else_of_it_is_read(
    number: object, box_cohort: Cohorts, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    run.mkdir()
    torch.save({"liverspleen": {} if number is None else {"format": number}}, run / "last.ckpt")
    assert train(cohort, run, steps=1) == 2
    line = rejection(capsys)
    assert line.startswith(f"LS-FMT-001 file '{run / 'last.ckpt'}': checkpoint ")
    assert ", expected 5; " in line
    assert "train again" in line


def test_a_checkpoint_with_a_damaged_recipe_cannot_be_resumed(
    box_cohort: Cohorts, tmp_path: Path, capsys: Captured
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, steps=1) == 0
    for file in run.glob("*.ckpt"):
        rewrite(file, lambda content: content.pop(RECIPE_KEY))
    capsys.readouterr()
    assert train(cohort, run, steps=2) == 2
    assert rejection(capsys).startswith("LS-TRN-005")
