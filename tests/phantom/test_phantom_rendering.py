"""Rendered voxels compared with integrals by hand, and mask volumes with true volumes."""

from dataclasses import replace

import numpy as np
import pytest

from liverspleen.organs import ORGANS, Structure
from liverspleen.phantom.anatomy import Anatomy, Condition, draw_anatomy, true_volumes_cm3
from liverspleen.phantom.composites import Intersection
from liverspleen.phantom.painting import Layer, Solid
from liverspleen.phantom.rendering import kernel_noise, majority_labels, render
from liverspleen.phantom.scanner import Acquisition, Scanner, draw_scanner, plan_acquisition
from liverspleen.phantom.shapes import Ellipsoid, HalfSpace

# no noise, and a kernel without blur
EXACT = Scanner(matrix=20, slice_thickness_mm=5.0, noise_sd_hu=0.0, kernel_cutoff_per_mm=1000.0)


def brick(lower, upper):
    """A rectangular liver."""
    faces = [
        HalfSpace(tuple(corner), tuple(sign * float(axis == n) for n in range(3)))
        for sign, corner in ((-1.0, lower), (1.0, upper))
        for axis in range(3)
    ]
    solid = Solid("brick", Intersection(tuple(faces)), (Layer(0.0, 100.0, Structure.LIVER),))
    return Anatomy(Condition.HEALTHY, (0,), (solid,), (100.0, 100.0))


def scan(anatomy, *, scanner=EXACT, field=40.0, centre=(0.0, 0.0), bottom=-25.0, slices=10):
    return render(anatomy, Acquisition(scanner, field, centre, bottom, slices, (0,)))


def mask_cm3(scanned, organ):
    return np.count_nonzero(scanned.labels == organ) * abs(np.linalg.det(scanned.affine[:3, :3])) / 1000


def test_voxel_is_the_mean_over_its_slice_thickness():
    # air is -1000 HU and the brick 100; it fills the upper half of slice 2 and all of slice 3
    scanned = scan(brick((-8, -8, -12.5), (8, 8, -5)))
    assert scanned.hu[1:5, 10, 10].tolist() == [-1000, -450, 100, -1000]


def test_voxel_is_the_mean_over_its_pixel():
    # pixels of 2 mm; the brick ends in the middle of one
    scanned = scan(brick((-7, -8, -25), (7, 8, 25)))
    assert scanned.hu[5, 10, 5:8].tolist() == [-1000, -450, 100]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_filled_voxels_are_divided_equally(axis):
    # half a voxel more than 8 x 8 x 4 voxels along one axis, at one end: every other voxel of that face belongs to it
    lower, upper = np.array([-8.0, -8.0, -10.0]), np.array([8.0, 8.0, 10.0])
    upper[axis] += (1.0, 1.0, 2.5)[axis]
    scanned = scan(brick(lower, upper))
    assert mask_cm3(scanned, Structure.LIVER) == pytest.approx(np.prod(upper - lower) / 1000, rel=1e-9)


def test_voxels_of_half_liver_and_half_spleen_alternate():
    fine = np.empty((2, 4, 8), np.uint8)
    fine[0], fine[1] = Structure.LIVER, Structure.SPLEEN
    labels = majority_labels(fine, 2, 2)
    counts = [np.count_nonzero(labels == organ) for organ in ORGANS]
    assert counts == [4, 4]


def test_affine_maps_voxels_to_ras_mm():
    ball = Ellipsoid((6.0, -4.0, 3.0), (9.0, 9.0, 9.0))
    anatomy = Anatomy(
        Condition.HEALTHY, (0,), (Solid("ball", ball, (Layer(0.0, 100.0, Structure.LIVER),)),), (100.0, 100.0)
    )
    scanner = replace(EXACT, matrix=60, slice_thickness_mm=1.0)
    scanned = scan(anatomy, scanner=scanner, field=60.0, centre=(2.0, -3.0), bottom=-20.0, slices=45)
    slice_index, row, column = np.nonzero(scanned.labels)
    centroid = scanned.affine @ [column.mean(), row.mean(), slice_index.mean(), 1.0]
    assert centroid[:3] == pytest.approx([6.0, -4.0, 3.0], abs=0.05)
    # as CT is displayed: the patient's right on the left of the image, the front on top
    assert column.mean() < 30 - 2
    assert row.mean() > 30
    assert scanned.affine[0, 0] < 0
    assert scanned.affine[1, 1] < 0
    assert scanned.affine[2, 2] > 0


def test_noise_has_unit_variance_and_a_sharper_kernel_has_finer_noise():
    soft, sharp = (kernel_noise((8, 128, 128), 0.8, cutoff, (1,)) for cutoff in (0.3, 0.6))
    for noise in (soft, sharp):
        assert noise.std() == pytest.approx(1.0, rel=0.03)
    neighbours = [np.corrcoef(noise[:, :, 1:].ravel(), noise[:, :, :-1].ravel())[0, 1] for noise in (soft, sharp)]
    assert neighbours[0] > neighbours[1] + 0.2


def test_noise_power_vanishes_at_zero_frequency_like_a_ramp():
    noise = kernel_noise((8, 64, 64), 0.8, 0.5, (2,))
    assert np.abs(noise.mean(axis=(1, 2))).max() < 1e-5


def test_scan_has_both_organs_completely_and_repeats_with_its_seed():
    anatomy = draw_anatomy(Condition.CIRRHOSIS, 5)
    acquisition = plan_acquisition(anatomy, draw_scanner(5, matrix=64, thickness_mm=(8.0, 8.0)), (5,))
    first, second = render(anatomy, acquisition), render(anatomy, acquisition)
    assert (first.hu == second.hu).all()
    assert (first.labels == second.labels).all()
    for organ in ORGANS:
        where = np.nonzero(first.labels == organ)
        for found, size in zip(where, first.labels.shape, strict=True):
            assert found.min() > 0
            assert found.max() < size - 1


def at_one_millimetre(anatomy, organ):
    """Mask volume of one organ, scanned at 1 mm along all axes in a field of view with that organ only."""
    lower, upper = anatomy.organ_box(organ)
    side = int(np.ceil((upper - lower)[:2].max())) + 4
    scanner = replace(EXACT, matrix=side, slice_thickness_mm=1.0)
    middle = (lower + upper) / 2
    slices = int(np.ceil(upper[2] - lower[2])) + 2
    where = {"field": float(side), "centre": (middle[0], middle[1]), "bottom": lower[2] - 1, "slices": slices}
    return mask_cm3(scan(anatomy, scanner=scanner, **where), organ)


def test_spleen_mask_at_1_mm_is_within_half_a_percent_of_the_truth():
    anatomy = draw_anatomy(Condition.HEALTHY, 11)
    assert at_one_millimetre(anatomy, Structure.SPLEEN) == pytest.approx(true_volumes_cm3(anatomy)["spleen"], rel=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("condition", list(Condition))
def test_masks_at_1_mm_are_within_half_a_percent_of_the_truth(condition):
    anatomy = draw_anatomy(condition, 12)
    truth = true_volumes_cm3(anatomy)
    for organ in ORGANS:
        assert at_one_millimetre(anatomy, organ) == pytest.approx(truth[organ.key], rel=0.005)
