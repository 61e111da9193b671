"""Training with another pixel size; validation and prediction are on the CT's own grid."""

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny import assert_equal_weights, train, weights
from torch import Tensor, nn

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import read_cohort
from liverspleen.data.augmentation import Augmentation
from liverspleen.data.cache import cache_case
from liverspleen.data.module import SliceDataModule
from liverspleen.data.window import IntensityWindow
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.inference.model import TrainedModel, load_model
from liverspleen.inference.segment import segment
from liverspleen.organs import ORGANS
from liverspleen.training.module import SegmentationModule


def rows(file: Path) -> list[list[str]]:
    return [row.split(",") for row in file.read_text().splitlines()[1:]]


class NearestHU(nn.Module):
    """Label with the nearest HU: -50 background, 110 liver, 180 spleen (tests/conftest.py)."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, slices: Tensor) -> Tensor:
        hu = slices[:, 1] * 1000
        return torch.stack([-(hu - known).abs() for known in (-50.0, 110.0, 180.0)], 1)


@pytest.mark.parametrize("pixel_mm", [None, 1.3, 2.0, 3.0])
def test_validation_counts_the_voxels_of_the_ct_that_prediction_finds(
    pixel_mm: float | None, box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    window = IntensityWindow(0.0, 1000.0, clip=False)
    cohort = read_cohort(box_cohort(slices=(5, 6, 4)))
    cached = [cache_case(case, tmp_path, pixel_mm=pixel_mm) for case in cohort.cases]
    data = SliceDataModule(cached[:1], cached[1:], slices=3, stride=16, batch_size=4, steps=1, seed=0, workers=0)
    module = SegmentationModule(
        NearestHU(),
        loss=nn.Identity(),
        window=window,
        augmentation=Augmentation(),
        seed=0,
        optimizer=torch.optim.SGD,
        scheduler=None,
        description={},
    )
    with torch.inference_mode():
        for batch in data.val_dataloader():
            module.validation_step(batch, 0)
    trained = TrainedModel(NearestHU().eval(), window, 3, 16, {}, "", pixel_mm=pixel_mm)
    for index, case in enumerate(cohort.cases[1:]):
        assert case.label is not None
        found = segment(read_ct(case.image), trained, batch_size=3).labels
        expected = overlaps(found, read_label_map(case.label).labels)
        for organ in ORGANS:
            assert module._counts[index, organ] == expected[organ]
            assert 0.5 < (expected[organ].dss or 0) <= 1


def test_validation_dss_on_another_pixel_size_is_that_of_predict_and_measure_on_the_grid_of_the_ct(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    manifest, run, labels = box_cohort(), tmp_path / "run", tmp_path / "labels"
    assert train(manifest, run, "slices.pixel_mm=3", steps=2) == 0  # 21 x 21 pixels, padded to 32 x 32
    model = run / "last.ckpt"
    assert torch.load(model, weights_only=True)["liverspleen"]["pixel_mm"] == load_model(model).pixel_mm == 3.0
    assert main(["predict", f"model={model}", f"input={manifest}", f"output={labels}", "batch_size=3"]) == 0
    for case in range(4):
        ct, found = map(nib.nifti1.load, (manifest.parent / f"c{case}.nii.gz", labels / f"c{case}_dseg.nii.gz"))
        assert found.shape == ct.shape
        np.testing.assert_array_equal(found.affine, ct.affine)
    assert main(["measure", f"labels={labels}", f"cohort={manifest}", f"output={tmp_path}"]) == 0
    validated = {(case, organ): dss for case, organ, dss, *_ in rows(run / "validation.csv")}
    with (tmp_path / "measurements.csv").open(newline="") as handle:
        table = [row for row in csv.DictReader(handle) if row["reader"] == "dla"]
    measured = {(row["case_id"], row["structure"]): row["dss"] for row in table}
    assert len(validated) == 2
    assert validated == {key: measured[key] for key in validated}


@pytest.mark.slow
def test_training_with_the_pixel_size_of_the_ct_scans_equals_training_without_one(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = box_cohort()  # pixels of 2 mm
    assert train(manifest, tmp_path / "off", steps=2) == 0
    assert train(manifest, tmp_path / "same", "slices.pixel_mm=2", steps=2) == 0
    assert_equal_weights(weights(tmp_path / "off"), weights(tmp_path / "same"))
    assert (tmp_path / "off/validation.csv").read_bytes() == (tmp_path / "same/validation.csv").read_bytes()
