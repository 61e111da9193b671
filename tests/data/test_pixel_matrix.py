import numpy as np
import pytest
import torch
from torch.nn import functional

from liverspleen.data.resampling import resampled_hu, resampled_labels, resampled_matrix

MATRICES = [(16, 20), (7, 9), (23, 41), (40, 13), (1, 1), (33, 20)]


def slices() -> np.ndarray:
    return np.random.default_rng(0).integers(-1024, 2000, (3, 32, 20)).astype(np.int16)


@pytest.mark.parametrize("matrix", MATRICES)
def test_slices_are_those_of_torchs_antialiased_bilinear_interpolation(matrix: tuple[int, int]) -> None:
    image = torch.from_numpy(slices()).double()[None]
    expected = functional.interpolate(image, matrix, mode="bilinear", align_corners=False, antialias=True)[0]
    found = resampled_hu(slices(), matrix)
    assert found.dtype == np.int16
    # rounded to whole HU; at a half both neighbours are right
    np.testing.assert_allclose(found, expected, atol=0.5 + 1e-6)


def test_halving_the_matrix_by_hand() -> None:
    # triangle of half width 2 at 0.5, 2.5: distances 0.5 0.5 1.5 1.5 -> weights 3 3 1 1; left border: 3 3 1 of 7
    row = np.array([[[0, 70, 140, 350]]], np.int16).repeat(2, 1)
    assert resampled_hu(row, (2, 2))[0, 0].tolist() == [(3 * 70 + 140) / 7, (70 + 3 * 140 + 3 * 350) / 7]


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_constant_image_stays_constant(matrix: tuple[int, int]) -> None:
    assert (resampled_hu(np.full((2, 32, 20), -1023, np.int16), matrix) == -1023).all()


@pytest.mark.parametrize("matrix", MATRICES)
def test_labels_are_those_of_torchs_exact_nearest_interpolation(matrix: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (3, 32, 20)).astype(np.uint8)
    # float64 places of the centres; ties between two voxels go to the upper one in both
    expected = functional.interpolate(torch.from_numpy(labels)[None].double(), matrix, mode="nearest-exact")[0]
    assert np.array_equal(resampled_labels(labels, matrix), expected.numpy().astype(np.uint8))


def test_the_same_matrix_gives_the_very_same_arrays() -> None:
    image, labels = slices(), np.zeros((3, 32, 20), np.uint8)
    assert resampled_hu(image, (32, 20)) is image
    assert resampled_labels(labels, (32, 20)) is labels


def test_field_of_view_decides_the_matrix() -> None:
    assert resampled_matrix((512, 400), (0.7, 0.9), 1.0) == (358, 360)  # 358.4 and 360 mm
    assert resampled_matrix((512, 400), (0.7, 0.9), None) == (512, 400)
    assert resampled_matrix((4, 4), (1.0, 1.0), 100.0) == (1, 1)
