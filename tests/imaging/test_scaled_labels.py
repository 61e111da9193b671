"""Label maps that were saved as multiples of a slope, and NIfTI headers with one valid form."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from liverspleen.cohort.findings.geometry import form_issues
from liverspleen.errors import InputError
from liverspleen.imaging import read_grid, read_label_map, write_label_map
from liverspleen.organs import Structure

AFFINE = np.diag([-2.0, -2.0, 5.0, 1.0])
LABELS = np.zeros((6, 5, 4), np.uint8)
LABELS[1:4, 1:3, 1:3], LABELS[4:, 1:3, 1:3] = 1, 2  # 12 and 8 voxels


def resaved(path: Path, labels: np.ndarray, dtype: str) -> Path:
    """As programs do it: the header of a file of integers, and its values as floating-point numbers."""
    header = nib.Nifti1Image(labels.astype(dtype), AFFINE).header
    nib.save(nib.Nifti1Image(labels.astype(np.float64), AFFINE, header), path)
    assert nib.load(path).dataobj.slope != 1
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32"])
def test_scaled_labels_are_the_whole_numbers_that_were_saved(tmp_path: Path, dtype: str) -> None:
    found = read_label_map(resaved(tmp_path / "a.nii.gz", LABELS, dtype))
    assert (found.count(Structure.LIVER), found.count(Structure.SPLEEN)) == (12, 8)
    values = {117: Structure.LIVER, 5: Structure.SPLEEN}
    many = np.choose(LABELS, (0, 117, 5)).astype(np.uint8)
    found = read_label_map(resaved(tmp_path / "b.nii.gz", many, dtype), values=values)
    assert (found.count(Structure.LIVER), found.count(Structure.SPLEEN)) == (12, 8)


def scaled(path: Path, stored: np.ndarray, slope: float) -> Path:
    image = nib.Nifti1Image(stored, AFFINE)
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, 0], "<f4").tobytes()
    path.write_bytes(content)
    return path


def test_other_values_are_rejected_and_shown_as_they_are(tmp_path: Path) -> None:
    stored = (LABELS * 10).astype(np.int16)
    stored[0, 0, 0] = 13
    with pytest.raises(InputError, match=r"unknown values \(1\.3000000\d*\) in 1 voxel"):
        read_label_map(scaled(tmp_path / "a.nii", stored, 0.1))
    image = nib.Nifti1Image(LABELS.astype(np.float64) * 1.00003, AFFINE)
    nib.save(image, tmp_path / "b.nii")
    with pytest.raises(InputError, match=r"unknown values \(1\.00003, 2\.00006\) in 20 voxels"):
        read_label_map(tmp_path / "b.nii")
    with pytest.raises(InputError, match="unknown values"):  # a slope above 1 keeps no whole numbers apart
        read_label_map(scaled(tmp_path / "c.nii", LABELS.astype(np.int16), 1.5))


# Orientation

SROW, QUATERNION = slice(280, 328), slice(256, 268)


def with_bytes(path: Path, place: slice, values: np.ndarray) -> Path:
    image = nib.Nifti1Image(LABELS, AFFINE)
    image.set_sform(AFFINE, 1)
    image.set_qform(AFFINE, 1)
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    content[place] = values.astype("<f4").tobytes()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("place", "values", "form"),
    [(SROW, np.zeros(12), "sform"), (QUATERNION, np.full(3, 2.0), "qform")],
)
def test_one_valid_form_gives_the_orientation_with_a_warning(
    tmp_path: Path, place: slice, values: np.ndarray, form: str
) -> None:
    found = read_label_map(with_bytes(tmp_path / "a.nii", place, values))
    np.testing.assert_allclose(found.geometry.affine, AFFINE, atol=1e-6)
    (issue,) = form_issues(found.geometry)
    assert (issue.code, issue.severity) == ("LS-GEO-020", "warning")
    assert f"the {form} of the header is not valid" in issue.message
    write_label_map(tmp_path / "b.nii", found)  # its copy has no invalid form
    assert [*form_issues(read_grid(tmp_path / "b.nii"))] == []


def test_no_valid_form_is_an_error(tmp_path: Path) -> None:
    path = with_bytes(tmp_path / "a.nii", SROW, np.zeros(12))
    content = bytearray(path.read_bytes())
    content[QUATERNION] = np.full(3, 2, "<f4").tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"LS-GEO-002.*sform is invalid"):
        read_grid(path)
