"""Recipes and partly labelled cases with the `train` command, on box cohorts of a few slices."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from liverspleen.cli.main import main
from liverspleen.cohort import Split, read_cohort, write_split
from liverspleen.imaging.files import read_label_map
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure

TINY = ["network.encoder=test_resnet", "network.pyramid_channels=8", "network.skip_channels=8", "trainer.batch_size=4"]

BY_CHANCE = [
    "rotation",
    "scale",
    "elastic",
    "blur",
    "kernel",
    "gain",
    "contrast",
    "low_resolution",
    "gamma",
    "gamma_inverted",
    "noise",
    "erase",
]


def train(cohort: Path, output: Path, *words: str, steps: int, experiment: str = "phantom") -> int:
    length = [f"trainer.steps={steps}", "trainer.validate_every=2"]
    return main(["train", f"cohort={cohort}", f"output={output}", f"experiment={experiment}", *TINY, *length, *words])


def weights(output: Path) -> dict[str, torch.Tensor]:
    return torch.load(output / "last.ckpt", weights_only=True)["state_dict"]


def unlabelled_liver(manifest: Path, number: int) -> None:
    """Remove the liver from a label map of the box cohort, as if it had not been annotated."""
    file = manifest.parent / f"c{number}_label.nii.gz"
    label_map = read_label_map(file)
    labels = np.where(label_map.labels == Structure.LIVER, np.uint8(0), label_map.labels)
    write_label_map(file, LabelMap(labels, label_map.geometry))


def test_partly_labelled_cases_train_and_validate_their_labelled_structures(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = box_cohort(slices=(5, 5, 5), labelled_structures=("liver;spleen", "spleen", "spleen"))
    unlabelled_liver(manifest, 1)
    unlabelled_liver(manifest, 2)
    cohort = read_cohort(manifest)
    write_split(tmp_path / "split.csv", Split(("p0", "p1"), ("p2",), 0, 1.0, cohort.hash))
    assert train(manifest, tmp_path / "run", f"split={tmp_path / 'split.csv'}", steps=2) == 0
    assert len(list((tmp_path / "run" / "cache").glob("*/case.json"))) == 3
    _, *rows = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [["c2", "spleen"]]
    assert "val/dss_liver" not in (tmp_path / "run" / "metrics.csv").read_text()


def test_case_with_unlabelled_liver_does_not_train_the_liver(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    manifest = box_cohort(slices=(5,), labelled_structures=("spleen",))
    unlabelled_liver(manifest, 0)
    one = ["train_fraction=1.0", "optimizer.weight_decay=0.0"]
    for steps in (1, 3):
        assert train(manifest, tmp_path / f"{steps}", *one, "trainer.validate_every=1", steps=steps) == 0
    first, third = (weights(tmp_path / f"{steps}")["network.head.weight"] for steps in (1, 3))
    assert torch.equal(first[Structure.LIVER], third[Structure.LIVER])
    assert not torch.equal(first[Structure.SPLEEN], third[Structure.SPLEEN])


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        ("kjr2020", ["network=small", "trainer=cpu"]),
        ("phantom", ["loss=focal", "augmentation=full", "slices.distance_mm=10"]),
        ("phantom", ["loss=tversky", "sampler=balanced"]),
        ("phantom", ["augmentation=strong", *(f"augmentation.{kind}_probability=0.5" for kind in BY_CHANCE)]),
    ],
    ids=["kjr2020", "focal", "tversky", "augmentation"],
)
def test_recipes_are_trained_and_resumed(
    experiment: str, words: list[str], box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from liverspleen.training.module import SegmentationModule

    cohort = box_cohort()
    assert train(cohort, tmp_path / "whole", *words, steps=4, experiment=experiment) == 0
    step = SegmentationModule.training_step

    def stop_at_two(self: SegmentationModule, batch: object, index: int) -> torch.Tensor:
        if self.trainer.global_step == 2:
            raise KeyboardInterrupt
        return step(self, batch, index)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentationModule, "training_step", stop_at_two)
    assert train(cohort, tmp_path / "cut", *words, steps=4, experiment=experiment) == 1
    monkeypatch.undo()
    assert train(cohort, tmp_path / "cut", *words, steps=4, experiment=experiment) == 0
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


@pytest.mark.slow
def test_loader_processes_do_not_change_an_augmented_training(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort, found = box_cohort(), []
    for workers in (0, 1, 2):
        recipe = ("augmentation=strong", f"trainer.workers={workers}", f"cache={tmp_path / 'cache'}")
        assert train(cohort, tmp_path / str(workers), *recipe, steps=4) == 0
        found.append(weights(tmp_path / str(workers)))
    assert all(torch.equal(value, other[name]) for other in found[1:] for name, value in found[0].items())


@pytest.mark.parametrize(
    "word",
    [
        "slices.distance_mm=0",
        "augmentation.noise=-0.1",
        "augmentation.thickness=2.5",
        "loss.dice_weight=-1",
        "loss.focal_gamma=0.5",
        "loss.boundary_px=0",
        "sampler.name=random",
        "scheduler.name=exponential",
        "scheduler.every=0",
    ],
)
def test_invalid_recipe_is_rejected(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "cohort=none.csv", f"output={tmp_path}", word]) == 2
    issues = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert len(issues) == 1
    assert issues[0].startswith(f"LS-CFG-006: {word.split('=')[0]}")
