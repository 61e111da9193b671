"""Training on another pixel size: validated and predicted on the CT's own grid."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny import assert_equal_weights, train, weights

from liverspleen.cli.main import main
from liverspleen.inference.model import load_model


def rows(file: Path) -> list[list[str]]:
    return [row.split(",") for row in file.read_text().splitlines()[1:]]


def test_validation_dss_on_another_pixel_size_is_that_of_predict_and_measure_on_the_grid_of_the_ct(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    manifest, run, labels = box_cohort(), tmp_path / "run", tmp_path / "labels"
    assert train(manifest, run, "slices.pixel_mm=3", steps=2) == 0  # 21 x 21 pixels, padded to 32 x 32
    model = run / "last.ckpt"
    assert torch.load(model, weights_only=True)["liverspleen"]["pixel_mm"] == load_model(model).pixel_mm == 3.0
    assert main(["predict", f"model={model}", f"input={manifest}", f"output={labels}", "batch_size=3"]) == 0
    for case in range(4):
        ct, found = (nib.nifti1.load(f / f"c{case}.nii.gz") for f in (manifest.parent, labels))
        assert found.shape == ct.shape
        np.testing.assert_array_equal(found.affine, ct.affine)
    assert main(["measure", f"labels={labels}", f"cohort={manifest}", f"output={tmp_path}"]) == 0
    validated = {(case, organ): dss for case, organ, dss in rows(run / "validation.csv")}
    measured = {(row[0], row[5]): row[10] for row in rows(tmp_path / "measurements.csv") if row[6] == "dla"}
    assert len(validated) == 2
    assert validated == {key: measured[key] for key in validated}


@pytest.mark.slow
def test_training_on_the_pixel_size_of_the_cts_equals_training_without_one(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = box_cohort()  # pixels of 2 mm
    assert train(manifest, tmp_path / "off", steps=2) == 0
    assert train(manifest, tmp_path / "same", "slices.pixel_mm=2", steps=2) == 0
    assert_equal_weights(weights(tmp_path / "off"), weights(tmp_path / "same"))
    assert (tmp_path / "off/validation.csv").read_bytes() == (tmp_path / "same/validation.csv").read_bytes()
