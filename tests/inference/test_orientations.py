"""One anatomy stored in any way gives the same labels in the patient, voxel for voxel on the file's own grid."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import inv_ornt_aff
from numpy.typing import NDArray
from stand_ins import SliceBelow, stand_in

from liverspleen.evaluation.metrics.volume import organ_volume_cm3
from liverspleen.imaging import read_label_map, write_label_map
from liverspleen.inference import segment
from liverspleen.organs import Structure

SHAPE = (9, 8, 7)
RAS = np.random.default_rng(5).integers(0, 100, SHAPE).astype(np.int16)  # axes to right, anterior, superior
RAS[:, -1] = -1000  # air in front
BELOW = RAS[..., [0, *range(SHAPE[2] - 1)]]
LABELS = np.select([BELOW > 75, BELOW > 25], [Structure.SPLEEN, Structure.LIVER])
"""By hand, of what `SliceBelow` finds: the voxel below decides, at the lowest slice the voxel itself"""

WAYS = [
    np.array(list(zip(axes, signs, strict=True)))
    for axes in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]


def rotated(degrees: float, axis: int) -> NDArray[np.float64]:
    angle, (one, other) = np.deg2rad(degrees), [i for i in range(3) if i != axis]
    turn = np.eye(4)
    turn[one, [one, other]] = np.cos(angle), -np.sin(angle)
    turn[other, [one, other]] = np.sin(angle), np.cos(angle)
    return turn


def sheared(fraction: float) -> NDArray[np.float64]:
    shear = np.eye(4)
    shear[1, 2] = fraction
    return shear


PLAIN = np.diag([0.8, 0.7, 2.5, 1.0])
AFFINES = {
    "plain": PLAIN,
    "oblique by 20 degrees": rotated(20, 0) @ PLAIN,
    "doubly oblique": rotated(-15, 2) @ rotated(25, 1) @ PLAIN,
    "gantry tilt": sheared(0.3) @ PLAIN,
    "sheared and oblique": rotated(10, 0) @ sheared(-0.2) @ PLAIN,
}


def stored(path: Path, way: NDArray[np.int_], affine: NDArray[np.float64]) -> nib.Nifti1Image:
    """The anatomy with its axes permuted and turned by nibabel; the sform alone says where it is."""
    moved = affine @ np.array([[1, 0, 0, -3.0], [0, 1, 0, -2.0], [0, 0, 1, -1.0], [0, 0, 0, 1]])
    array = nib.orientations.apply_orientation(RAS, way)
    image = nib.Nifti1Image(array, moved @ inv_ornt_aff(way, SHAPE))
    image.set_sform(image.affine, code=1)
    image.set_qform(None, code=0)
    nib.save(image, path)
    return image


@pytest.mark.parametrize("name", AFFINES)
def test_48_storage_orientations_give_the_same_labels_in_the_patient(tmp_path: Path, name: str) -> None:
    model, volumes = stand_in(SliceBelow()), set()
    for number, way in enumerate(WAYS):
        image = stored(tmp_path / f"{number}.nii.gz", way, AFFINES[name])
        write_label_map(tmp_path / "label.nii.gz", segment(tmp_path / f"{number}.nii.gz", model))
        found = nib.load(tmp_path / "label.nii.gz")
        assert found.shape == image.shape
        assert np.array_equal(found.affine, nib.load(tmp_path / f"{number}.nii.gz").affine)
        native = np.asarray(found.dataobj)
        assert np.array_equal(native, nib.orientations.apply_orientation(LABELS, way))
        volumes.add(volumes_of(tmp_path / "label.nii.gz"))
    (liver, spleen), *others = sorted(volumes)
    voxel_cm3 = abs(np.linalg.det(AFFINES[name][:3, :3])) / 1000
    assert liver == pytest.approx(np.count_nonzero(LABELS == 1) * voxel_cm3, rel=1e-6)
    assert spleen == pytest.approx(np.count_nonzero(LABELS == 2) * voxel_cm3, rel=1e-6)
    # float32 headers round the affine differently in each orientation
    assert all(pair == pytest.approx((liver, spleen), rel=1e-6) for pair in others)


def volumes_of(path: Path) -> tuple[float, float]:
    found = read_label_map(path)
    return organ_volume_cm3(found, Structure.LIVER), organ_volume_cm3(found, Structure.SPLEEN)


def test_there_are_48_different_orientations() -> None:
    codes = {nib.aff2axcodes(inv_ornt_aff(way, SHAPE)) for way in WAYS}
    assert len(codes) == 48
