"""Volumes of shapes compared with solid geometry, and the order of painting."""

import numpy as np
import pytest

from liverspleen.organs import Structure
from liverspleen.phantom.composites import Grown, Intersection, Outside, Union, Waves, Wavy
from liverspleen.phantom.painting import Layer, Solid, paint
from liverspleen.phantom.shapes import Capsule, Ellipsoid, Grid, HalfSpace

HALF_MM = Grid.of(*[np.arange(-39.75, 40, 0.5)] * 3)


def volume_mm3(shape):
    return np.count_nonzero(np.broadcast_to(shape.depth(HALF_MM) < 0, HALF_MM.shape)) / 8


def test_tilted_ellipsoid_has_the_volume_four_thirds_pi_abc():
    shape = Ellipsoid((1.3, -0.4, 2.2), (30.0, 18.0, 22.0), (20.0, -35.0, 50.0))
    assert volume_mm3(shape) == pytest.approx(4 / 3 * np.pi * 30 * 18 * 22, rel=1e-3)


def test_capsule_is_a_cylinder_and_a_ball():
    shape = Capsule((-10.0, -6.0, 3.0), (14.0, 8.0, -9.0), 9.0, 9.0)
    length = np.sqrt(24**2 + 14**2 + 12**2)
    assert volume_mm3(shape) == pytest.approx(np.pi * 81 * length + 4 / 3 * np.pi * 729, rel=2e-3)


def test_ball_cut_in_half():
    half = Intersection((Ellipsoid((0, 0, 0), (30, 30, 30)), HalfSpace((0, 0, 0), (0.6, 0.8, 0.0))))
    assert volume_mm3(half) == pytest.approx(2 / 3 * np.pi * 30**3, rel=3e-3)


def test_shell_is_outer_ball_minus_inner_ball():
    ball = Ellipsoid((0, 0, 0), (20, 20, 20))
    shell = Intersection((Grown(ball, 5.0), Outside(ball)))
    assert volume_mm3(shell) == pytest.approx(4 / 3 * np.pi * (25**3 - 20**3), rel=3e-3)


@pytest.mark.parametrize(
    "shape",
    [
        Ellipsoid((3, -5, 2), (22, 9, 14), (30, 40, 50)),
        Capsule((-12, 4, 0), (10, -9, 16), 4, 8),
        Union((Ellipsoid((-8, 0, 0), (12, 9, 9)), Ellipsoid((9, 3, 0), (10, 12, 8))), 12.0),
        Wavy(
            Ellipsoid((0, 0, 0), (18, 18, 18)),
            Waves.draw(np.random.default_rng(3), count=6, wavelength_mm=20, total_mm=1.5),
        ),
    ],
)
def test_shape_lies_within_its_box(shape):
    where = np.nonzero(shape.depth(HALF_MM) < 0)
    lower, upper = shape.box()
    z, y, x = (a.ravel()[w] for a, w in zip((HALF_MM.z, HALF_MM.y, HALF_MM.x), where, strict=True))
    for values, low, high in zip((x, y, z), lower, upper, strict=True):
        assert low <= values.min()
        assert values.max() <= high


def test_waves_have_the_given_standard_deviation():
    waves = Waves.draw(np.random.default_rng(0), count=12, wavelength_mm=9, total_mm=2.0)
    height = waves.height(HALF_MM)
    assert height.std() == pytest.approx(2.0, rel=0.05)
    assert np.abs(height).max() <= waves.reach_mm


def test_wave_is_the_cosine_of_its_phase_at_each_point():
    waves = Waves(((0.1, -0.2, 0.3),), (0.5,), 2.0)
    height = waves.height(Grid.of([1.0, 4.0], [2.0], [3.0]))
    assert height.ravel() == pytest.approx(
        [2 * np.cos(0.1 - 0.4 + 0.9 + 0.5), 2 * np.cos(0.4 - 0.4 + 0.9 + 0.5)], abs=1e-5
    )


def test_later_solids_cover_earlier_ones():
    ball = Ellipsoid((0, 0, 0), (10, 10, 10))
    liver = Solid("liver", ball, (Layer(3.0, -100.0), Layer(0.0, 100.0, Structure.LIVER)))
    stomach = Solid("stomach", Ellipsoid((10, 0, 0), (6, 6, 6)), (Layer(0.0, 40.0),))
    hu, label = paint([liver, stomach], Grid.of([-12.0, 0.0, 8.0, 30.0], [0.0], [0.0]))
    assert hu.ravel().tolist() == [-100, 100, 40, -1000]
    assert label.ravel().tolist() == [0, Structure.LIVER, 0, 0]


def test_carving_solid_changes_only_its_structure():
    liver = Solid("liver", Ellipsoid((0, 0, 0), (10, 10, 10)), (Layer(0.0, 100.0, Structure.LIVER),))
    vein = Solid("vein", Capsule((0, 0, 0), (30, 0, 0), 4, 4), (Layer(0.0, 160.0),), carves=Structure.LIVER)
    hu, label = paint([liver, vein], Grid.of([-8.0, 5.0, 20.0], [0.0], [0.0]))
    assert hu.ravel().tolist() == [100, 160, -1000]
    assert label.ravel().tolist() == [Structure.LIVER, 0, 0]


def test_solid_is_kept_within():
    ball = Solid(
        "ball", Ellipsoid((0, 0, 0), (10, 10, 10)), (Layer(0.0, 50.0),), within=HalfSpace((0, 0, 0), (1, 0, 0))
    )
    hu, _ = paint([ball], Grid.of([-5.0, 5.0], [0.0], [0.0]))
    assert hu.ravel().tolist() == [50, -1000]
