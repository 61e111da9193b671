"""Every kind of network goes the full pipeline: trained, kept in a checkpoint, applied."""

from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.imaging.files import read_label_map

SHORT = ["trainer=cpu", "trainer.steps=2", "trainer.batch_size=2", "trainer.validate_every=2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["network=unet_2d", "network.width=4"],
        ["network=unet_3d", "network.width=4", "slices.count=5", "slices.distance_mm=10"],
        ["network=unet_3d", "network.width=4", "network.deep_supervision=true"],
        ["network=small", "slices.count=1"],
        ["network=small", "slices.count=7", "slices.distance_mm=2.5"],
    ],
)
def test_network_is_trained_and_segments(box_cohort: Callable[..., Path], tmp_path: Path, words: list[str]) -> None:
    cohort, model, labels = box_cohort(), tmp_path / "model", tmp_path / "labels"
    assert main(["train", f"cohort={cohort}", f"output={model}", *SHORT, *words]) == 0
    assert main(["predict", f"model={model / 'last.ckpt'}", f"input={cohort}", f"output={labels}"]) == 0
    assert [read_label_map(file).labels.shape[0] for file in sorted(labels.glob("*.nii.gz"))] == [5, 6, 4, 5]
