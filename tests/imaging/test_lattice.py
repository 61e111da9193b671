"""Label maps on a box of the grid of their CT: padded or cut without resampling; other grids are errors."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cohort.checks import on_grid
from liverspleen.evaluation import measure_folder
from liverspleen.imaging import Geometry, LabelMap
from liverspleen.organs import Structure

COS, SIN = np.cos(0.2), np.sin(0.2)
OBLIQUE = np.array([[-COS, 0, SIN, 40.0], [0, -1, 0, 35.0], [SIN, 0, COS, -20.0], [0, 0, 0, 1]]) @ np.diag(
    [0.7, 0.7, 3, 1]
)
TURN = np.array([[1, 0.05, 0, 0], [-0.05, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
CT = Geometry((12, 11, 10), OBLIQUE)
LABELS = np.zeros(CT.shape, np.uint8)
LABELS[2:8, 3:7, 4:9] = Structure.LIVER  # 6 x 4 x 5 voxels
LABELS[9:11, 3:5, 4:6] = Structure.SPLEEN  # 2 x 2 x 2 voxels


def label_map(array: np.ndarray, affine: np.ndarray) -> LabelMap:
    geometry = Geometry(array.shape, affine)  # type: ignore[arg-type]
    return LabelMap(np.ascontiguousarray(geometry.to_canonical(array)), geometry)


def moved(offset: tuple[float, ...]) -> np.ndarray:
    affine = OBLIQUE.copy()
    affine[:, 3] = OBLIQUE @ [*offset, 1]
    return affine


def placed(array: np.ndarray, affine: np.ndarray) -> tuple[LabelMap, list[str]]:
    found, issues = on_grid("A", label_map(array, affine), CT, file=None, against="its CT")
    return found, [issue.code for issue in issues]


@pytest.mark.parametrize("jitter", [0, 0.02])  # of a voxel: decimals of a header
def test_a_cropped_label_map_is_padded_to_its_ct(jitter: float) -> None:
    found, codes = placed(LABELS[2:11, 3:7, 4:9], moved((2 + jitter, 3, 4)))
    assert codes == ["LS-GEO-021"]
    assert found.geometry is CT
    assert np.array_equal(found.to_native(), LABELS)


def test_axes_may_have_another_order_and_direction() -> None:
    box = LABELS[2:11, 3:7, 4:9]
    turned = np.ascontiguousarray(box[::-1].transpose(2, 0, 1))
    affine = moved((10, 3, 4)) @ np.array([[0, -1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    found, codes = placed(turned, affine)
    assert codes == ["LS-GEO-021"]
    assert np.array_equal(found.to_native(), LABELS)


def test_a_larger_box_is_cut_and_labelled_voxels_outside_are_counted() -> None:
    larger = np.zeros((16, 13, 12), np.uint8)
    larger[2:14, 1:12, 1:11] = LABELS
    found, codes = placed(larger, moved((-2, -1, -1)))
    assert (codes, found.count(Structure.LIVER), found.count(Structure.SPLEEN)) == (["LS-GEO-021"], 120, 8)
    larger[0, 0, :3] = Structure.SPLEEN
    found, issues = on_grid("A", label_map(larger, moved((-2, -1, -1))), CT, file=None, against="its CT")
    assert [issue.code for issue in issues] == ["LS-GEO-021", "LS-GEO-022"]
    assert issues[1].message.startswith("3 labelled voxels are outside")
    assert np.array_equal(found.to_native(), LABELS)


@pytest.mark.parametrize(
    ("affine", "shape", "code"),
    [
        (moved((2.5, 3, 4)), (9, 4, 5), "LS-GEO-003"),  # half a voxel
        (moved((2, 3, 4)) @ np.diag([1.03, 1, 1, 1]), (9, 4, 5), "LS-GEO-003"),  # another spacing
        (moved((2, 3, 4)) @ TURN, (9, 4, 5), "LS-GEO-003"),
        (moved((30, 3, 4)), (9, 4, 5), "LS-GEO-003"),  # no voxel in common
        (moved((1, 0, 0)), (12, 11, 10), "LS-GEO-004"),  # the same shape is no box: shifted
    ],
)
def test_other_grids_are_errors(affine: np.ndarray, shape: tuple[int, int, int], code: str) -> None:
    assert placed(np.ones(shape, np.uint8), affine)[1] == [code]


def save(file: Path, array: np.ndarray, affine: np.ndarray) -> None:
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    file.parent.mkdir(exist_ok=True)
    nib.save(image, file)


@pytest.mark.parametrize("cropped", ["labels", "truth"])
def test_maps_without_a_ct_are_compared_on_a_grid_that_holds_both(tmp_path: Path, cropped: str) -> None:
    """Nothing is cut, and the borders of the box truncate no organ."""
    for folder in ("labels", "truth"):
        box = cropped == folder
        array = LABELS[2:11, 3:7, 4:9] if box else LABELS
        save(tmp_path / folder / "a.nii.gz", array, moved((2, 3, 4)) if box else OBLIQUE)
    measured = measure_folder(tmp_path / "labels", reference=tmp_path / "truth", surface=None)
    assert [(row.structure, row.reader, row.voxels, row.dss) for row in measured.rows] == [
        ("liver", "dla", 120, 1.0),
        ("spleen", "dla", 8, 1.0),
        ("liver", "manual", 120, None),
        ("spleen", "manual", 8, None),
    ]
    assert "truncated" not in {row.volume_status for row in measured.rows}
    assert [issue.code for issue in measured.issues if issue.code.startswith("LS-GEO")] == ["LS-GEO-021"]
