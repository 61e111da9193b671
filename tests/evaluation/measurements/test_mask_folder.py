"""Label maps as TotalSegmentator writes them: a folder per case with a binary mask per organ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liverspleen.evaluation import measure_folder
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import LABEL_VALUES

GRID = Geometry((10, 10, 4), np.diag([-2.0, -2.0, 5.0, 1.0]))  # voxels of 20 mm³


def mask(file: Path, rows: slice, value: int = 1) -> None:
    labels = np.zeros((4, 10, 10), np.uint8)
    labels[1:3, rows, 2:8] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    write_label_map(file, LabelMap(labels, GRID))


def volumes(folder: Path, **settings: object) -> dict[tuple[str, str], float | None]:
    measured = measure_folder(folder, reader="ts", surface=None, **settings)  # type: ignore[arg-type]
    assert {issue.code for issue in measured.issues} <= {"LS-LAB-011"}  # the organs have few voxels
    return {(row.case_id, row.structure): row.volume_cm3 for row in measured.rows}


@pytest.mark.parametrize("below", ["", "segmentations"])
def test_masks_of_a_case_are_its_label_map(tmp_path: Path, below: str) -> None:
    mask(tmp_path / "s1" / below / "liver.nii.gz", slice(1, 5))
    mask(tmp_path / "s1" / below / "spleen.nii.gz", slice(6, 8))
    mask(tmp_path / "s1" / below / "kidney_left.nii.gz", slice(1, 8))  # not measured, and no overlap
    # 2 slices x 4 (2) rows x 6 columns x 20 mm³
    assert volumes(tmp_path) == {("s1", "liver"): pytest.approx(0.96), ("s1", "spleen"): pytest.approx(0.48)}


def test_an_organ_without_a_mask_is_unknown_and_not_absent(tmp_path: Path) -> None:
    mask(tmp_path / "s1" / "liver.nii", slice(1, 5))
    assert [*volumes(tmp_path)] == [("s1", "liver")]


def test_reference_masks_are_read_as_well(tmp_path: Path) -> None:
    mask(tmp_path / "labels" / "s1" / "liver.nii.gz", slice(1, 5))
    mask(tmp_path / "truth" / "s1.nii.gz", slice(1, 6))
    measured = measure_folder(tmp_path / "labels", reference=tmp_path / "truth", reader="ts", surface=None)
    (row,) = [row for row in measured.rows if row.reader == "ts"]
    assert row.dss == pytest.approx(2 * 4 / (4 + 5))


def test_folders_without_a_mask_are_not_cases(tmp_path: Path) -> None:
    mask(tmp_path / "s1.nii.gz", slice(1, 5))
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "plans.json").write_text("{}")
    assert {case for case, _ in volumes(tmp_path)} == {"s1"}


def test_ambiguous_masks_are_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "s1"
    mask(folder / "liver.nii.gz", slice(1, 5))

    def codes(**settings: object) -> list[str]:
        return [issue.code for issue in measure_folder(tmp_path, surface=None, **settings).issues]  # type: ignore[arg-type]

    assert codes(label_values=LABEL_VALUES["totalsegmentator"]) == ["LS-LAB-024"]
    mask(tmp_path / "s1.nii.gz", slice(1, 5))
    assert codes() == ["LS-LAB-007"]
    (tmp_path / "s1.nii.gz").unlink()
    mask(folder / "spleen.nii.gz", slice(4, 8))
    assert codes() == ["LS-IMP-023"]  # a row is in both masks
    mask(folder / "segmentations" / "liver.nii.gz", slice(1, 5))
    assert codes() == ["LS-LAB-022"]


def test_a_mask_of_0_and_255_is_that_of_its_organ(tmp_path: Path) -> None:
    for value, name in ((1, "ones"), (255, "bytes")):
        mask(tmp_path / name / "liver.nii.gz", slice(1, 5), value=value)
    ones, of_bytes = measure_folder(tmp_path, surface=None).rows
    assert ones.volume_cm3 == of_bytes.volume_cm3
    assert ones.volume_cm3
