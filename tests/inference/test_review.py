import math

import numpy as np
import pytest

from liverspleen.imaging import CTVolume, Geometry, LabelMap
from liverspleen.inference.review import SIGNS, review
from liverspleen.organs import ORGANS, Structure

SHAPE = (24, 48, 64)
SPACING = (8.0, 5.0, 5.0)  # 0.2 cm³


def ellipsoid(centre, half):
    axes = np.ogrid[tuple(slice(0, size) for size in SHAPE)]
    return sum(((x - c) / h) ** 2 for x, c, h in zip(axes, centre, half, strict=True)) <= 1


def labels():
    """A smooth liver of about 1500 cm³ and a smooth spleen of about 300 cm³, not connected."""
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[ellipsoid((12, 24, 18), (9, 14, 14))] = Structure.LIVER
    drawn[ellipsoid((13, 30, 50), (6, 8, 8))] = Structure.SPLEEN
    return drawn


def case(drawn, outside_hu=0):
    geometry = Geometry(SHAPE[::-1], np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0]))
    hu = np.where(drawn > 0, 100, outside_hu).astype(np.int16)
    return LabelMap(drawn, geometry), CTVolume(hu, geometry)


def reviewed(change=lambda drawn: None, flip_dss=None, member_dss=None):
    drawn = labels()
    change(drawn)
    return review(*case(drawn), flip_dss, member_dss)


def above_zero(found):
    return {name for name, value in found.parts.items() if value}


def test_smooth_organs_of_plausible_size_have_no_sign():
    found = reviewed(flip_dss=dict.fromkeys(ORGANS, 0.95), member_dss=dict.fromkeys(ORGANS, 0.95))
    assert (found.score, found.reasons) == (0.0, ())
    assert set(found.parts) == {f"{organ.key}_{sign}" for organ in ORGANS for sign in SIGNS}
    assert set(found.parts.values()) == {0.0}


def test_flips_count_by_their_dss_and_are_undefined_without_them():
    found = reviewed(flip_dss={Structure.LIVER: 0.7, Structure.SPLEEN: None})
    assert found.parts["liver_flips"] == pytest.approx(0.5)  # 0.30, halfway from 0.10 to 0.50
    assert found.parts["spleen_flips"] is None
    assert found.score == pytest.approx(1 - math.exp(-1))
    assert found.reasons == ("liver: DSS 0.70 between the CT and its flip",)
    assert reviewed().parts["liver_flips"] is None


def test_a_missing_slice_differs_from_both_beside_it():
    def without_slice(drawn):
        drawn[12][drawn[12] == Structure.LIVER] = 0

    whole = labels() == Structure.LIVER
    lost = np.count_nonzero(whole[11] & whole[13])  # what both slices beside it have
    lost += np.count_nonzero(whole[11] & ~whole[10]) + np.count_nonzero(whole[13] & ~whole[14])  # now in one slice
    fraction = lost / (np.count_nonzero(whole) - np.count_nonzero(whole[12]))
    found = reviewed(without_slice)
    assert found.parts["liver_steps"] == pytest.approx((fraction - 0.03) / 0.17)
    assert any("most in slice 13" in reason for reason in found.reasons)
    # two parts of more than 10 cm³ remain
    assert above_zero(found) == {"liver_steps", "liver_jumps", "liver_status"}
    assert found.parts["liver_status"] == 0.3


def test_an_organ_that_ends_within_the_scan_jumps_and_a_truncated_one_does_not():
    def upper_half_lost(drawn):
        drawn[13:][drawn[13:] == Structure.LIVER] = 0

    found = reviewed(upper_half_lost)
    # 10 slices (3 to 12): an ellipsoid changes by 0.4 of its largest area at most; here it is all of it: 2.5 times
    assert found.parts["liver_jumps"] == 0.0
    drawn = labels()
    liver = drawn == Structure.LIVER
    for slice_index in range(14, 22):  # a column instead, as high as before
        drawn[slice_index][liver[slice_index]] = 0
        drawn[slice_index, 22:26, 16:20] = Structure.LIVER
    found = review(*case(drawn))
    areas = np.count_nonzero(drawn == Structure.LIVER, axis=(1, 2))
    jump = (areas[13] - areas[14]) / areas.max()
    assert found.parts["liver_jumps"] == pytest.approx((jump / (4 / 19) - 3) / 5)
    assert any("from slice 14 to 15" in reason for reason in found.reasons)
    cut, ct = case(labels())
    top = [np.ascontiguousarray(array[:13]) for array in (cut.labels, ct.hu)]
    geometry = Geometry((64, 48, 13), cut.geometry.affine)
    found = review(LabelMap(top[0], geometry), CTVolume(top[1], geometry))
    assert above_zero(found) == {"liver_status", "spleen_status"}
    assert found.parts["liver_status"] == 0.2
    assert found.reasons[0] == "liver: its volume status is truncated"


def test_islands_holes_and_speckle_are_detected():
    def islands(drawn):
        drawn[2:22:4, 2, 2:40:2] = Structure.LIVER  # 5 x 19 of one voxel

    whole = int(np.count_nonzero(labels() == Structure.LIVER))
    assert reviewed(islands).parts["liver_islands"] == pytest.approx((95 / (whole + 95) - 0.01) / 0.04, rel=1e-6)

    def hole(drawn):
        drawn[9:16, 20:29, 14:23] = 0  # 567 voxels within the liver

    assert reviewed(hole).parts["liver_holes"] == pytest.approx((567 / (whole - 567) - 0.03) / 0.07)

    def speckle(drawn):
        liver = drawn == Structure.LIVER
        drawn[liver & (np.random.default_rng(0).random(SHAPE) < 0.3)] = 0

    assert reviewed(speckle).parts["liver_steps"] == 1.0


def test_absent_and_implausible_organs_have_a_high_score():
    def no_liver(drawn):
        drawn[drawn == Structure.LIVER] = 0

    found = reviewed(no_liver)
    assert found.parts["liver_status"] == 1.0
    assert found.parts["liver_steps"] is None
    assert found.score == pytest.approx(1 - math.exp(-2))

    def no_spleen(drawn):
        drawn[drawn == Structure.SPLEEN] = 0

    assert reviewed(no_spleen).parts["spleen_status"] == 0.5
    empty = review(*case(np.zeros(SHAPE, np.uint8)))
    assert empty.score == pytest.approx(1 - math.exp(-3))
    mirrored = review(*case(np.ascontiguousarray(labels()[:, :, ::-1])))
    assert (mirrored.parts["liver_status"], mirrored.parts["spleen_status"]) == (1.0, 1.0)


def test_an_organ_labelled_in_air_is_the_first_reason():
    label_map, ct = case(labels())
    hu = ct.hu.copy()
    hu[label_map.labels == Structure.SPLEEN] = -800
    found = review(label_map, CTVolume(hu, ct.geometry))
    assert found.parts["spleen_density"] == 1.0
    assert found.reasons[0] == "median within the spleen is -800 HU, the density of air or lung"


def test_a_structure_that_the_label_map_does_not_cover_is_not_reviewed():
    label_map, ct = case(labels())
    liver_only = LabelMap(np.where(label_map.labels == 1, 1, 0).astype(np.uint8), ct.geometry, (Structure.LIVER,))
    found = review(liver_only, ct)
    assert found.score == 0.0
    assert not [name for name in found.parts if name.startswith("spleen")]


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_scans_of_few_slices_have_a_score(slices):
    drawn = np.ascontiguousarray(labels()[12 : 12 + slices])
    geometry = Geometry((64, 48, slices), np.diag([-5.0, -5.0, 8.0, 1.0]))
    found = review(LabelMap(drawn, geometry), CTVolume(np.full(drawn.shape, 100, np.int16), geometry))
    assert found.score == pytest.approx(1 - math.exp(-0.8))  # both truncated


def test_a_ct_of_another_shape_is_a_value_error():
    label_map, _ = case(labels())
    geometry = Geometry((64, 48, 1), np.eye(4))
    with pytest.raises(ValueError, match="its label map"):
        review(label_map, CTVolume(np.zeros((1, 48, 64), np.int16), geometry))
