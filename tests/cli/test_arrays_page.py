"""The examples on arrays in docs/python.md run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from matplotlib import pyplot
from predicting import exam

from liverspleen.evaluation import read_measurements
from liverspleen.imaging import write_ct, write_label_map

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.split("\n## From arrays\n")[1].split("\n## ")[0], re.M | re.S)
MEASUREMENTS = ROOT / "experiments/kjr2020/measurements.csv"


def run(block: str) -> dict[str, Any]:
    space: dict[str, Any] = {}
    exec(compile(block, "docs/python.md", "exec"), space)
    return space


def test_the_page_has_the_examples_that_are_run_here() -> None:
    assert len(BLOCKS) == 4


def test_an_image_is_segmented_and_measured(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ct, reference = exam()
    ct.hu[:, 0] = -1000  # air in front
    write_ct("ct.nii.gz", ct)
    write_label_map("manual.nii.gz", reference)
    Path("model.ckpt").write_bytes(model.read_bytes())
    found = run(BLOCKS[0])
    assert found["labels"].shape == nib.load("ct.nii.gz").shape == (32, 32, 5)
    voxel_cm3 = 8 * 8 * 20 / 1000
    liver = found["liver"]
    assert found["volume_cm3"](found["reference"], found["image"].affine) == pytest.approx(4 * 16 * 12 * voxel_cm3)
    shared = np.count_nonzero(liver & found["reference"])
    assert found["dss"](liver, found["reference"]) == 2 * shared / (np.count_nonzero(liver) + 4 * 16 * 12) > 0.5
    assert found["distances"].reason is None
    assert 0 < found["distances"].nsd < 1  # a network of 40 steps finds much of the box, not its border
    assert found["distances"].hd95_mm > 0
    exec(compile(BLOCKS[1], "docs/python.md", "exec"), found)
    assert found["liver_probability"].shape == found["labels"].shape
    assert found["liver_probability"][liver].min() > 1 / 3  # the highest of three classes
    assert found["liver_probability"][~liver].max() < 0.5 + 1e-6


def test_volumes_of_a_table_become_limits_and_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = read_measurements(MEASUREMENTS).to_frame()
    table = table[(table["dataset"] == "test1") & (table["structure"] == "liver")]
    wide = table.pivot_table(index="case_id", columns="reader", values="volume_cm3")
    wide.add_prefix("liver_").to_csv("volumes.csv")
    result = run(BLOCKS[2])["result"]
    assert (round(result.bias, 2), round(result.limits.half_width, 2)) == (-0.17, 3.07)  # the paper's Table 3
    assert Path("bland_altman.png").stat().st_size > 1000
    pyplot.close("all")


def test_tables_are_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("measurements.csv").write_bytes(MEASUREMENTS.read_bytes())
    bias = run(BLOCKS[3])["bias"]
    assert round(bias["total"], 2) == -0.17
    assert (
        Path("table3.csv").read_text(encoding="utf-8").splitlines()[0] == ",liver,liver_p,spleen,spleen_p,ratio,ratio_p"
    )
