"""Effects of the conditions, and true volumes of anatomies with known volumes."""

import numpy as np
import pytest

from liverspleen.organs import Structure
from liverspleen.phantom.anatomy import Anatomy, Condition, draw_anatomy, true_volumes_cm3
from liverspleen.phantom.painting import Layer, Solid, paint
from liverspleen.phantom.shapes import Capsule, Ellipsoid, Grid

SEEDS = range(4)


@pytest.fixture(scope="module")
def volumes():
    return {c: [true_volumes_cm3(draw_anatomy(c, seed)) for seed in SEEDS] for c in Condition}


def mean(volumes, condition, key):
    return np.mean([volume[key] for volume in volumes[condition]])


def densities(condition, name, count=30):
    found = []
    for seed in range(count):
        solid = next(s for s in draw_anatomy(condition, seed).solids if s.name == name)
        found.append(solid.layers[-1].hu)
    return np.array(found)


def test_true_volume_of_two_balls_minus_a_vessel():
    liver = Solid("liver", Ellipsoid((40, 0, 0), (50, 50, 50)), (Layer(0.0, 100.0, Structure.LIVER),))
    spleen = Solid("spleen", Ellipsoid((-60, 0, 0), (30, 30, 30)), (Layer(0.0, 110.0, Structure.SPLEEN),))
    vein = Solid("vein", Capsule((40, -20, 0), (40, 20, 0), 8, 8), (Layer(0.0, 160.0),), carves=Structure.LIVER)
    truth = true_volumes_cm3(Anatomy(Condition.HEALTHY, (0,), (liver, spleen, vein), (200.0, 200.0)))
    assert truth["spleen"] == pytest.approx(4 / 3 * np.pi * 27, rel=1e-3)
    # the balls' centres are 100 mm apart, their radii sum to 80: nothing overlaps
    vessel = (np.pi * 64 * 40 + 4 / 3 * np.pi * 512) / 1000
    assert truth["liver"] == pytest.approx(4 / 3 * np.pi * 125 - vessel, rel=1e-3)


def test_same_condition_and_seed_give_the_same_patient():
    first, second = (draw_anatomy(Condition.CLD, 3) for _ in range(2))
    assert first == second
    assert draw_anatomy(Condition.CLD, 4) != first


def test_organs_have_plausible_volumes(volumes):
    for condition in Condition:
        for volume in volumes[condition]:
            assert 550 < volume["liver"] < 2500
            assert 90 < volume["spleen"] < 950


def test_cirrhosis_has_a_small_liver_and_a_large_spleen(volumes):
    assert mean(volumes, Condition.CIRRHOSIS, "liver") < 0.9 * mean(volumes, Condition.HEALTHY, "liver")
    assert mean(volumes, Condition.CIRRHOSIS, "spleen") > 1.6 * mean(volumes, Condition.HEALTHY, "spleen")


def test_fatty_liver_is_dark_and_its_spleen_is_not():
    assert densities(Condition.FATTY, "liver").max() <= 75
    assert densities(Condition.HEALTHY, "liver").min() >= 80
    assert densities(Condition.FATTY, "spleen").min() >= 90


def test_densities_of_liver_spleen_and_other_organs_overlap():
    liver = np.concatenate([densities(c, "liver") for c in Condition])
    spleen = densities(Condition.HEALTHY, "spleen")
    for name in ("muscle", "pancreas", "colon", "stomach"):
        neighbour = densities(Condition.HEALTHY, name)
        assert np.mean((liver.min() < neighbour) & (neighbour < liver.max())) > 1 / 4  # oral contrast is brighter
    for name in ("kidney", "liver", "heart"):
        neighbour = densities(Condition.HEALTHY, name)
        assert neighbour.min() < spleen.max()
        assert spleen.min() < neighbour.max()


def test_every_anatomy_has_all_parts_of_an_abdomen():
    names = {solid.name for solid in draw_anatomy(Condition.HEALTHY, 0).solids}
    assert names >= {
        "skin",
        "muscle",
        "ribs",
        "vertebra",
        "lungs",
        "heart",
        "kidney",
        "stomach",
        "vena cava",
        "aorta",
        "portal vein",
        "hepatic vein",
        "liver",
        "spleen",
    }


def test_lobe_is_missing_after_hepatectomy():
    # of eight patients, some lack the right and some the left lobe
    missing_right = missing_left = 0
    for seed in range(8):
        healthy, operated = (draw_anatomy(c, seed) for c in (Condition.HEALTHY, Condition.POST_HEPATECTOMY))
        right = [fraction_right_of(a, 75.0) for a in (healthy, operated)]
        left = [fraction_right_of(a, 10.0) for a in (healthy, operated)]
        missing_right += right[1] < 0.5 * right[0]
        missing_left += (1 - left[1]) < 0.5 * (1 - left[0])
    assert missing_right > 0
    assert missing_left > 0


def fraction_right_of(anatomy, x_mm):
    """Fraction of the liver to the right of the sagittal plane at x."""
    lower, upper = anatomy.organ_box(Structure.LIVER)
    grid = Grid.of(*(np.arange(low, high, 6.0) for low, high in zip(lower, upper, strict=True)))
    _, label = paint(anatomy.solids, grid)
    liver = label == Structure.LIVER
    return np.count_nonzero(liver & (grid.x > x_mm)) / np.count_nonzero(liver)
