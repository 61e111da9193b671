"""Attenuation of the core of an organ: known erosions and HU, by hand, on isotropic, anisotropic and sheared grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from liverspleen.evaluation.metrics.attenuation import Attenuation, KnownCT, organ_attenuation
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure

LIVER, SPLEEN = Structure.LIVER, Structure.SPLEEN


def grid_of(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Geometry:
    """Return a grid of (slice, row, column) shape and spacing."""
    return Geometry((shape[2], shape[1], shape[0]), np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0]))


def block(
    shape: tuple[int, int, int], *, spacing_mm: tuple[float, float, float], box: tuple[slice, slice, slice]
) -> LabelMap:
    labels = np.zeros(shape, np.uint8)
    labels[box] = LIVER
    return LabelMap(labels, grid_of(shape, spacing_mm))


def measured(label_map: LabelMap, hu: NDArray[Any], *, limits: tuple[int, ...] = ()) -> Attenuation:
    return organ_attenuation(label_map, KnownCT(CTVolume(hu.astype(np.int16), label_map.geometry), limits), LIVER)


def test_the_core_has_one_distance_in_mm_on_an_anisotropic_grid() -> None:
    # 5 mm are 1 slice of 5 mm, 5 rows of 1 mm, 2 columns of 2 mm: (6 - 2) x (20 - 10) x (20 - 4) voxels of 10 mm³
    label_map = block((10, 30, 30), spacing_mm=(5, 1, 2), box=(slice(2, 8), slice(5, 25), slice(4, 24)))
    columns = np.broadcast_to(np.arange(30) * 10, (10, 30, 30))  # a gradient of 10 HU per column
    found = measured(label_map, columns)
    assert (found.hu_voxels, found.hu_core_mm, found.hu_status) == (4 * 10 * 16, 5.0, "ok")
    # columns 6 to 21: mean 13.5; variance of 16 whole numbers (16² - 1) / 12, times n / (n - 1)
    assert (found.hu_mean, found.hu_median) == (135.0, 135.0)
    assert found.hu_sd == pytest.approx(10 * np.sqrt(255 / 12 * 640 / 639), rel=1e-12)


@pytest.mark.parametrize(("thickness_mm", "eroded"), [(2.5, 2), (3.0, 1), (5.0, 1), (5.0000002, 1), (10.0, 1)])
def test_the_outer_slices_are_never_included(thickness_mm: float, eroded: int) -> None:
    label_map = block((12, 30, 30), spacing_mm=(thickness_mm, 1, 1), box=(slice(1, 11), slice(2, 28), slice(2, 28)))
    slices = np.broadcast_to(np.arange(12)[:, None, None], (12, 30, 30))
    found = measured(label_map, slices)
    assert found.hu_voxels == (10 - 2 * eroded) * 16 * 16
    assert found.hu_mean == 5.5


def test_the_core_of_a_ball_equals_a_distance_transform() -> None:
    spacing_mm = (3.0, 0.8, 1.1)
    at = np.indices((24, 80, 60)) - np.array([12, 40, 30])[:, None, None, None]
    labels = ((at * np.array(spacing_mm)[:, None, None, None]) ** 2).sum(axis=0) < 26**2
    label_map = LabelMap(labels.astype(np.uint8), grid_of((24, 80, 60), spacing_mm))
    depth_mm = ndimage.distance_transform_edt(np.pad(labels, 8), sampling=spacing_mm)
    assert measured(label_map, np.zeros(labels.shape)).hu_voxels == np.count_nonzero(depth_mm > 5)


def test_a_sheared_grid_has_the_core_of_its_physical_distances() -> None:
    # slices of 4 mm, each moved by 3 mm along the columns of 1 mm
    affine = np.eye(4)
    affine[:3, :3] = np.array([[-1.0, 0, -3.0], [0, -1.0, 0], [0, 0, 4.0]])
    labels = np.zeros((9, 40, 40), np.uint8)
    labels[1:8, 5:35, 5:35] = LIVER
    label_map = LabelMap(labels, Geometry((40, 40, 9), affine))
    # within 5 mm of (0, 0, 0) in the next slice: column offset n with (3 + n)² + 4² <= 25, so n from -6 to 0, row 0;
    # in the same slice 5 voxels in each direction. Slices 2 to 6; columns 5 + 6 to 34 - 6 after both neighbours.
    found = measured(label_map, np.zeros((9, 40, 40)))
    assert found.hu_voxels == 5 * (30 - 10) * (30 - 12)


def test_the_end_of_the_image_is_outside_of_the_organ() -> None:
    whole = block((6, 20, 20), spacing_mm=(5, 1, 1), box=(slice(0, 6), slice(0, 20), slice(0, 20)))
    assert measured(whole, np.full((6, 20, 20), 50)).hu_voxels == 4 * 10 * 10


def test_the_core_keeps_its_distance_from_a_vessel_that_is_not_labelled() -> None:
    shape, box = (7, 41, 41), (slice(0, 7), slice(0, 41), slice(0, 41))
    label_map = block(shape, spacing_mm=(5, 1, 1), box=box)
    label_map.labels[:, 20, 20] = 0
    hu = np.full(shape, 60)
    hu[:, 20, 20] = 200
    disc = sum(x * x + y * y <= 25 for x in range(-5, 6) for y in range(-5, 6))
    found = measured(label_map, hu)
    assert (found.hu_voxels, found.hu_mean, found.hu_sd) == (5 * (31 * 31 - disc), 60.0, 0.0)
    label_map.labels[:, 20, 20] = LIVER  # a labelled vessel is included
    found = measured(label_map, hu)
    assert found.hu_mean == pytest.approx(60 + 140 / 31**2)


def test_a_core_below_one_cubic_centimetre_is_undefined() -> None:
    # 3 slices of 5 mm, 8 x 9 and 8 x 8 mm: 1.08 and 0.96 cm³
    for rows, expected in ((9, "ok"), (8, "small_core")):
        label_map = block((7, 40, 40), spacing_mm=(5, 1, 1), box=(slice(1, 6), slice(5, 15 + rows), slice(5, 23)))
        found = measured(label_map, np.full((7, 40, 40), 50))
        assert (found.hu_status, found.hu_voxels) == (expected, 3 * rows * 8)
        assert (found.hu_mean is None) == (expected == "small_core")
    thin = block((4, 40, 40), spacing_mm=(5, 1, 1), box=(slice(1, 3), slice(5, 35), slice(5, 35)))
    assert measured(thin, np.full((4, 40, 40), 50)).hu_voxels == 0


def test_an_absent_organ_and_a_ct_that_is_not_in_hu_are_undefined() -> None:
    label_map = block((7, 40, 40), spacing_mm=(5, 1, 1), box=(slice(1, 6), slice(5, 35), slice(5, 35)))
    ct = KnownCT(CTVolume(np.full((7, 40, 40), 50, np.int16), label_map.geometry))
    assert organ_attenuation(label_map, ct, SPLEEN) == Attenuation(None, None, None, None, 5.0, "absent")
    assert organ_attenuation(label_map, KnownCT(None), LIVER) == Attenuation(None, None, None, None, 5.0, "no_hu")


def test_padding_inside_the_label_is_not_included() -> None:
    label_map = block((7, 40, 40), spacing_mm=(5, 1, 1), box=(slice(1, 6), slice(5, 35), slice(5, 35)))
    hu = np.full((7, 40, 40), 50)
    hu[:, :, 20:] = -2000
    found = measured(label_map, hu)
    assert (found.hu_voxels, found.hu_mean, found.hu_status) == (3 * 20 * 10, 50.0, "ok")
    assert measured(label_map, np.full((7, 40, 40), -3024)).hu_status == "small_core"


def test_one_percent_of_the_core_at_a_limit_of_the_window_is_clipped() -> None:
    label_map = block((7, 60, 60), spacing_mm=(5, 1, 1), box=(slice(1, 6), slice(5, 55), slice(5, 55)))
    hu = np.full((7, 60, 60), 150)  # the core has 3 x 40 x 40 voxels
    hu[3, 10, 10:50] = 275  # 40
    assert measured(label_map, hu, limits=(-125, 275)).hu_status == "ok"
    hu[3, 11, 10:18] = 275  # 48 of 4800
    found = measured(label_map, hu, limits=(-125, 275))
    assert (found.hu_status, found.hu_median, found.hu_mean) == ("clipped", 150.0, 150 + 1.25)
    assert measured(label_map, hu).hu_status == "ok"  # 275 is no limit of this CT


def test_the_limits_are_those_of_a_ct_that_was_clipped() -> None:
    rng = np.random.default_rng(0)
    hu = np.concatenate([rng.normal(-1000, 20, (4, 60, 60)), rng.normal(60, 300, (4, 60, 60))]).astype(np.int16)
    geometry = grid_of(hu.shape, (5, 1, 1))
    assert KnownCT.of(CTVolume(hu, geometry)).limits == ()
    assert KnownCT.of(CTVolume(hu.clip(-125, 275), geometry)).limits == (-125, 275)


def test_the_shapes_must_agree() -> None:
    label_map = block((4, 8, 8), spacing_mm=(5, 1, 1), box=(slice(1, 3), slice(2, 6), slice(2, 6)))
    other = CTVolume(np.zeros((4, 8, 9), np.int16), grid_of((4, 8, 9), (5, 1, 1)))
    with pytest.raises(ValueError, match=r"CT has shape \(4, 8, 9\), its label map \(4, 8, 8\)"):
        organ_attenuation(label_map, KnownCT(other), LIVER)
