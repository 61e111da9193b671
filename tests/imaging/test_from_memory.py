"""A CT from an array or a nibabel image equals the CT read from the file of the same voxels and affine."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from liverspleen.errors import InputError
from liverspleen.imaging import as_ct_volume, ct_from_array, ct_from_nibabel, from_memory, read_ct, write_ct
from liverspleen.imaging.volume import CTVolume

HU = np.random.default_rng(4).integers(-1000, 1500, (5, 6, 7)).astype(np.int16)
AFFINE = np.array([[-0.75, 0, 0.25, 90], [0, 0.5, 0, -60], [0, 0, 4.0, 12], [0, 0, 0, 1]])  # exact in float32


def same(first: CTVolume, second: CTVolume) -> bool:
    return (
        np.array_equal(first.hu, second.hu)
        and np.array_equal(first.geometry.affine, second.geometry.affine)
        and first.geometry.shape == second.geometry.shape
        and first.clipped_voxels == second.clipped_voxels
    )


def codes(error: pytest.ExceptionInfo[InputError]) -> list[str]:
    return [issue.code for issue in error.value.issues]


def turned(order: tuple[int, ...], signs: tuple[int, ...]) -> Any:
    """AFFINE with its columns in another order and direction."""
    affine = AFFINE.copy()
    affine[:3, :3] = AFFINE[:3, :3][:, order] * signs
    return affine


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (1, -1, 1)])
def test_a_file_its_image_and_its_array_are_one_ct(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    affine = turned(order, signs)
    image = nib.Nifti1Image(HU, affine)
    nib.save(image, tmp_path / "ct.nii.gz")
    read = read_ct(tmp_path / "ct.nii.gz")
    assert same(ct_from_nibabel(image), read)
    assert same(ct_from_nibabel(nib.load(tmp_path / "ct.nii.gz")), read)
    assert same(ct_from_array(HU, affine), read)
    assert np.array_equal(read.geometry.to_native(read.hu), HU)


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_memory_order_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch, layout: Any, block: int) -> None:
    expected = ct_from_array(HU, AFFINE)
    monkeypatch.setattr(from_memory, "_BLOCK", block)
    assert same(ct_from_array(np.asarray(HU, order=layout), AFFINE), expected)
    assert same(ct_from_array(HU[::-1, :, ::-1], AFFINE), ct_from_array(HU[::-1, :, ::-1].copy(), AFFINE))
    assert same(ct_from_array(HU.astype(np.float64) + 0.25, AFFINE), expected)


def test_slope_and_intercept_of_an_image_are_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(HU, AFFINE)
    image.header.set_slope_inter(0.5, -100.0)
    nib.save(image, tmp_path / "ct.nii")
    raw = bytearray((tmp_path / "ct.nii").read_bytes())
    raw[352:] = (2 * (HU.astype(int) + 100)).astype("<i2").tobytes(order="F")
    (tmp_path / "ct.nii").write_bytes(raw)
    assert np.array_equal(read_ct(tmp_path / "ct.nii").hu, ct_from_array(HU, AFFINE).hu)
    assert same(ct_from_nibabel(nib.load(tmp_path / "ct.nii")), read_ct(tmp_path / "ct.nii"))


def test_the_header_space_of_an_image_is_kept(tmp_path: Path) -> None:
    image = nib.Nifti1Image(HU, AFFINE)
    image.header.set_sform(AFFINE, code="scanner")
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "ct.nii")
    write_ct(tmp_path / "again.nii", ct_from_nibabel(nib.load(tmp_path / "ct.nii")))
    again = nib.load(tmp_path / "again.nii").header
    assert (int(again["sform_code"]), int(again["qform_code"])) == (1, 0)


def test_the_affine_of_an_image_counts_as_nibabel_would_save_it(tmp_path: Path) -> None:
    image = nib.Nifti1Image(HU, AFFINE)
    image.header.set_sform(np.diag([9.0, 9.0, 9.0, 1.0]), code="scanner")  # the image keeps AFFINE
    assert same(ct_from_nibabel(image), ct_from_array(HU, AFFINE))
    assert image.header.get_sform()[0, 0] == 9.0  # the caller's header is unchanged


def test_values_outside_int16_are_clipped_and_counted() -> None:
    values = HU.astype(np.float32)
    values[0, 0, 0], values[1, 0, 0] = 40000, -1e9
    ct = ct_from_array(values, AFFINE)
    native = ct.geometry.to_native(ct.hu)
    assert (native[0, 0, 0], native[1, 0, 0], ct.clipped_voxels) == (32767, -32768, 2)


def test_a_trailing_axis_of_one_is_dropped() -> None:
    assert same(ct_from_array(HU[..., None], AFFINE), ct_from_array(HU, AFFINE))
    assert same(ct_from_nibabel(nib.Nifti1Image(HU[..., None], AFFINE)), ct_from_array(HU, AFFINE))


def broken() -> Any:
    values = HU.astype(np.float32)
    values[1, 2, 3], values[4, 5, 6] = np.nan, np.inf
    return values


@pytest.mark.parametrize(
    ("array", "affine", "code", "message"),
    [
        (HU[0], AFFINE, "LS-IMG-006", "shape (6, 7)"),
        (HU[:, :, :, None].repeat(2, 3), AFFINE, "LS-IMG-006", "three axes"),
        (np.zeros((4, 0, 4)), AFFINE, "LS-IMG-006", "three axes"),
        (HU > 0, AFFINE, "LS-IMG-007", "bool"),
        (HU.astype(complex), AFFINE, "LS-IMG-007", "complex128"),
        (broken(), AFFINE, "LS-IMG-008", "2 of 210 voxels are NaN or infinite"),
        (HU, np.eye(3), "LS-GEO-002", "4 x 4"),
        (HU, np.diag([1.0, 1.0, 0.0, 1.0]), "LS-GEO-002", "no volume"),
        (HU, np.diag([1.0, 1.0, np.nan, 1.0]), "LS-GEO-002", "finite"),
        (HU, "affine", "LS-GEO-002", ""),
    ],
)
def test_an_array_that_is_not_a_ct_is_rejected(array: Any, affine: Any, code: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        ct_from_array(array, affine)
    assert codes(error) == [code]
    assert message in str(error.value)


def test_an_image_that_is_not_a_ct_is_rejected() -> None:
    with pytest.raises(InputError) as error:
        ct_from_nibabel(nib.MGHImage(HU.astype(np.float32), AFFINE))
    assert codes(error) == ["LS-IMG-003"]
    with pytest.raises(InputError) as error:
        ct_from_nibabel(nib.Nifti1Image(broken(), AFFINE))
    assert codes(error) == ["LS-IMG-008"]
    image = nib.Nifti1Image(HU, AFFINE)
    image.header.set_xyzt_units("meter")
    with pytest.raises(InputError) as error:
        ct_from_nibabel(image)
    assert codes(error) == ["LS-GEO-007"]


def test_only_an_array_takes_an_affine() -> None:
    image, volume = nib.Nifti1Image(HU, AFFINE), ct_from_array(HU, AFFINE)
    assert as_ct_volume(volume) is volume
    assert same(as_ct_volume(image), volume)
    assert same(as_ct_volume(HU, AFFINE), volume)
    with pytest.raises(ValueError, match="an array needs affine="):
        as_ct_volume(HU)
    for own in (image, volume):
        with pytest.raises(ValueError, match="has its own affine"):
            as_ct_volume(own, AFFINE)
