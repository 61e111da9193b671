"""Areas of the marching-cubes cells: by hand, by symmetry, and against the table of another implementation."""

import warnings
from itertools import permutations, product

import numpy as np
import pytest

from liverspleen.evaluation.metrics.surface_area import CORNERS, cell_areas_mm2

SHEARED_MM = np.array([[4.0, 0.9, -0.4], [0.1, 0.8, 0.3], [-0.2, 0.1, 0.7]])


def code_of(*corners):
    return sum(1 << CORNERS.index(corner) for corner in corners)


@pytest.mark.parametrize(
    ("corners", "area"),
    [
        ([], 0.0),
        (CORNERS, 0.0),
        ([(0, 0, 0)], np.sqrt(3) / 8),
        ([(0, 0, 0), (0, 0, 1)], np.sqrt(2) / 2),
        ([(0, 0, 0), (0, 1, 1)], 2 * np.sqrt(3) / 8),  # opposite on a face: cut off each by itself
        ([(0, 0, 0), (1, 1, 1)], 2 * np.sqrt(3) / 8),
        ([(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)], 1.0),
        ([(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)], 6 * np.sqrt(3) / 4 * 0.5),  # a regular hexagon of side √2 / 2
        ([(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)], 4 * np.sqrt(3) / 8),
    ],
)
def test_areas_in_the_unit_cell_by_hand(corners, area):
    assert cell_areas_mm2(np.eye(3))[code_of(*corners)] == pytest.approx(area)


def test_a_corner_cut_off_on_a_sheared_grid_by_hand():
    one, other, third = SHEARED_MM / 2
    area = np.linalg.norm(np.cross(other - one, third - one)) / 2
    assert cell_areas_mm2(SHEARED_MM)[code_of((0, 0, 0))] == pytest.approx(area)


def test_a_flat_face_on_a_sheared_grid_is_a_parallelogram():
    first_slice = [corner for corner in CORNERS if corner[0] == 0]
    area = np.linalg.norm(np.cross(SHEARED_MM[1], SHEARED_MM[2]))
    assert cell_areas_mm2(SHEARED_MM)[code_of(*first_slice)] == pytest.approx(area)


@pytest.mark.parametrize("axes_mm", [np.eye(3), np.diag([5.0, 0.8, 0.7]), SHEARED_MM])
def test_a_mask_and_its_complement_have_one_surface(axes_mm):
    areas = cell_areas_mm2(axes_mm)
    # cells of four to four cut off the inside; sheared, that is another area
    codes = [code for code in range(256) if axes_mm is not SHEARED_MM or code.bit_count() != 4]
    assert areas[codes] == pytest.approx(areas[[255 - code for code in codes]], rel=1e-12)


@pytest.mark.parametrize("axes_mm", [np.diag([5.0, 0.8, 0.7]), SHEARED_MM])
def test_the_order_in_which_axes_are_stored_changes_no_area(axes_mm):
    areas = cell_areas_mm2(axes_mm)
    for order, flips in product(permutations(range(3)), product((0, 1), repeat=3)):
        stored = cell_areas_mm2(axes_mm[list(order)] * np.where(flips, -1, 1)[:, None])
        for code in range(256):
            inside = [corner for bit, corner in enumerate(CORNERS) if code >> bit & 1]
            turned = [tuple(corner[axis] ^ flip for axis, flip in zip(order, flips, strict=True)) for corner in inside]
            assert stored[code_of(*turned)] == pytest.approx(areas[code])


def test_turning_the_axes_in_space_changes_no_area():
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    np.testing.assert_allclose(cell_areas_mm2(SHEARED_MM @ rotation), cell_areas_mm2(SHEARED_MM), rtol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_areas_are_those_of_the_table_of_nikolov_et_al(seed):
    tables = pytest.importorskip(
        "surface_distance.lookup_tables", reason="surface-distance-based-measures, the reference, is not installed"
    )
    spacing_mm = np.random.default_rng(seed).uniform(0.3, 8.0, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's own
        table = tables.create_table_neighbour_code_to_surface_area(spacing_mm)
    kernel = tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL.ravel()  # the value of each corner in their codes
    ours = cell_areas_mm2(np.diag(spacing_mm))
    for code in range(256):
        theirs = sum(int(value) for bit, value in enumerate(kernel) if code >> bit & 1)
        assert ours[code] == pytest.approx(table[theirs], rel=1e-12)
