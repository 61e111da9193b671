import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from liverspleen.evaluation.metrics import nearest_distance, surface_points
from liverspleen.evaluation.metrics.nearest_distance import neighbourhood
from liverspleen.evaluation.metrics.surface import organ_surface_distances, surface_distances
from liverspleen.evaluation.metrics.surface_points import common_box
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure

DEFINITIONS = ("voxel", "area")
SPACING_MM = np.diag([5.0, 0.8, 0.7])
SHEARED_MM = np.array([[4.0, 0.9, -0.4], [0.1, 0.8, 0.3], [-0.2, 0.1, 0.7]])


def affine_of(axes_mm):
    """Row n of the axes, the step along array axis n, is column n of the affine; with an arbitrary origin."""
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.transpose(axes_mm), (-120.0, 35.0, 8.0)
    return affine


SPACING, SHEARED = affine_of(SPACING_MM), affine_of(SHEARED_MM)


def box_mask(shape, *ranges):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*limits) for limits in ranges)] = True
    return mask


def numbers(result):
    return result.hd95_mm, result.assd_mm, result.nsd


@st.composite
def mask_pairs(draw):
    shape = draw(array_shapes(min_dims=3, max_dims=3, max_side=5))
    return draw(arrays(bool, shape)), draw(arrays(bool, shape))


def by_all_pairs(test, reference, axes_mm, tolerance_mm):
    """Voxel borders and every distance between them, from the definitions."""

    def border(mask):
        outside = np.pad(~mask, 1, constant_values=True)
        indices = np.argwhere(mask) + 1
        steps = np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
        touches = [any(outside[tuple(index + step)] for step in steps) for index in indices]
        return indices[touches] @ axes_mm

    one, other = border(test), border(reference)
    distances = np.linalg.norm(one[:, None] - other[None], axis=2)
    there, back = distances.min(axis=1), distances.min(axis=0)
    both = np.concatenate([there, back])
    return max(np.percentile(there, 95), np.percentile(back, 95)), both.mean(), (both <= tolerance_mm).mean()


# --- by hand


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_distances_of_a_plate_moved_across_itself(axis):
    # a plate of one layer: every voxel is border, and the nearest of the other plate is k steps along the normal
    test, reference = np.zeros((2, 12, 12, 12), bool)
    test[(slice(None),) * axis + (2,)] = True
    reference[(slice(None),) * axis + (5,)] = True
    found = surface_distances(test, reference, SPACING, tolerance_mm=1.0)
    step = [5.0, 0.8, 0.7][axis]
    assert numbers(found) == pytest.approx((3 * step, 3 * step, 0.0))
    assert (found.n_test, found.n_reference, found.area_test_mm2) == (144, 144, None)


def test_borders_of_a_box_moved_by_two_columns():
    # 4 x 4 x 8 voxels, of which 2 x 2 x 6 are inside: 104 of border
    test = box_mask((10, 10, 14), (2, 6), (2, 6), (2, 10))
    reference = box_mask((10, 10, 14), (2, 6), (2, 6), (4, 12))
    found = surface_distances(test, reference, np.diag([3.0, 1.0, 0.5, 1.0]), tolerance_mm=0.5)
    # border voxels of the test that the reference does not have: 16 of the first layer at two columns (1 mm), 12 around
    # the second at one column, and the 4 in the middle of the last, inside the reference, a row (1 mm) from its border
    assert found.n_test == found.n_reference == 104
    assert found.hd95_mm == 1.0
    assert found.assd_mm == pytest.approx((16 * 1.0 + 12 * 0.5 + 4 * 1.0) / 104)
    assert found.nsd == pytest.approx(1 - 20 / 104)


def test_area_of_a_box_is_its_faces_with_cut_edges_and_corners():
    # n voxels a side: 6 faces of (n - 1)² cells of 1, 12 edges of n - 1 cells of √2 / 2, 8 corners of √3 / 8
    mask = box_mask((8, 8, 8), (2, 6), (2, 6), (2, 6))
    found = surface_distances(mask, mask, np.eye(4), tolerance_mm=0.0, definition="area")
    assert found.area_test_mm2 == pytest.approx(6 * 9 + 12 * 3 * np.sqrt(2) / 2 + 8 * np.sqrt(3) / 8)
    assert found.n_test == 6 * 9 + 12 * 3 + 8


def test_area_weighted_distances_of_a_plate_moved_along_its_normal():
    # two plates far larger than their rims: all elements of one are 3 slices from those of the other
    test, reference = np.zeros((2, 9, 6, 6), bool)
    test[2], reference[5] = True, True
    found = surface_distances(test, reference, SPACING, tolerance_mm=5.0, definition="area")
    # both faces of both plates: from the near face 2 slices to the other's near face, from the far face 3
    assert found.assd_mm == pytest.approx(12.5)
    assert found.hd95_mm == pytest.approx(15.0)
    assert found.nsd == 0.0


def test_sheared_plate_has_the_area_of_parallelograms():
    mask = box_mask((5, 40, 40), (2, 3), (1, 39), (1, 39))
    found = surface_distances(mask, mask, SHEARED, tolerance_mm=1.0, definition="area")
    parallelogram = np.linalg.norm(np.cross(SHEARED_MM[1], SHEARED_MM[2]))
    # 37 x 37 whole cells on each side, and a rim of cut ones (4 x 37 and 4 corners a side)
    assert 2 * 37**2 * parallelogram < found.area_test_mm2
    assert found.n_test == 2 * (37**2 + 4 * 37 + 4)


# --- grids


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("tolerance_mm", [0.0, 0.7, 1.4, 1.6, 5.0])
def test_a_rotated_grid_gives_the_same_numbers(definition, tolerance_mm):
    rng = np.random.default_rng(7)
    test, reference = rng.random((2, 6, 9, 9)) < 0.2
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    plain = surface_distances(test, reference, SPACING, tolerance_mm=tolerance_mm, definition=definition)
    turned = surface_distances(
        test, reference, affine_of(SPACING_MM @ rotation), tolerance_mm=tolerance_mm, definition=definition
    )
    assert numbers(turned) == pytest.approx(numbers(plain), rel=1e-9)
    assert (turned.n_test, turned.n_reference) == (plain.n_test, plain.n_reference)
    assert turned.area_test_mm2 == (None if definition == "voxel" else pytest.approx(plain.area_test_mm2))


@pytest.mark.parametrize("seed", range(20))
def test_distances_on_a_sheared_grid_are_those_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    test, reference = rng.random((2, 5, 9, 9)) < rng.uniform(0.02, 0.6)
    axes_mm = SHEARED_MM + rng.normal(0, 0.2, (3, 3))
    found = surface_distances(test, reference, affine_of(axes_mm), tolerance_mm=1.3)
    assert numbers(found) == pytest.approx(by_all_pairs(test, reference, axes_mm, 1.3), rel=1e-12)


def test_exactly_the_tolerance_counts_as_within():
    # 3 columns of 0.7 mm: 2.0999999999999996 in floating point if coordinates are subtracted
    test, reference = box_mask((1, 1, 9), (0, 1), (0, 1), (4, 5)), box_mask((1, 1, 9), (0, 1), (0, 1), (7, 8))
    assert surface_distances(test, reference, np.diag([5.0, 0.7, 0.7, 1.0]), tolerance_mm=2.1).nsd == 1.0


def test_a_label_map_is_measured_as_its_array_in_the_order_of_the_file():
    # stored as (column, row, slice); the first axis towards the right, slices tilted
    affine = np.array([[0.8, 0, 0, 5], [0, 0.8, 1.0, 6], [0, 0, 5.0, 7], [0, 0, 0, 1]])
    test, reference = box_mask((6, 7, 8), (1, 4), (2, 6), (1, 5)), box_mask((6, 7, 8), (2, 5), (2, 5), (3, 7))
    grid = Geometry((6, 7, 8), affine)
    maps = [LabelMap(np.ascontiguousarray(grid.to_canonical(m.astype(np.uint8))), grid) for m in (test, reference)]
    found = surface_distances(test, reference, affine, tolerance_mm=1.0)
    assert numbers(found) == pytest.approx(by_all_pairs(test, reference, affine[:3, :3].T, 1.0), rel=1e-9)
    organ = organ_surface_distances(*maps, tolerance_mm=1.0)[Structure.LIVER]
    assert numbers(organ) == pytest.approx(numbers(found), rel=1e-12)


# --- degenerate masks

SHAPE = (4, 6, 7)
EMPTY = np.zeros(SHAPE, bool)
FULL = np.ones(SHAPE, bool)
VOXEL = box_mask(SHAPE, (1, 2), (2, 3), (3, 4))
CORNER = box_mask(SHAPE, (0, 1), (0, 1), (0, 1))
SLICE = box_mask(SHAPE, (2, 3), (0, 6), (0, 7))


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_two_empty_masks_have_no_distances(definition):
    found = surface_distances(EMPTY, EMPTY, SPACING, tolerance_mm=1.0, definition=definition)
    assert numbers(found) == (None, None, None)
    assert found.reason == "both masks are empty"


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("mask", [VOXEL, CORNER, SLICE, FULL])
def test_one_empty_mask_scores_zero_without_distances(mask, definition):
    alone = surface_distances(mask, EMPTY, SPACING, tolerance_mm=1.0, definition=definition)
    missed = surface_distances(EMPTY, mask, SPACING, tolerance_mm=1.0, definition=definition)
    assert numbers(alone) == numbers(missed) == (None, None, 0.0)
    assert "reference mask is empty" in alone.reason
    assert "test mask is empty" in missed.reason
    assert (alone.n_test, alone.n_reference) == (missed.n_reference, missed.n_test)


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("mask", [VOXEL, CORNER, SLICE, FULL])
def test_identical_masks_are_at_no_distance(mask, definition):
    found = surface_distances(mask, mask.copy(), SPACING, tolerance_mm=0.0, definition=definition)
    assert numbers(found) == (0.0, 0.0, 1.0)
    assert found.reason is None


def test_the_full_image_has_its_outermost_voxels_as_border():
    assert surface_distances(FULL, FULL, SPACING, tolerance_mm=0.0).n_test == 4 * 6 * 7 - 2 * 4 * 5


def test_two_single_voxels_far_apart_are_at_their_distance():
    shape = (40, 60, 70)
    test, reference = box_mask(shape, (0, 1), (0, 1), (0, 1)), box_mask(shape, (39, 40), (59, 60), (69, 70))
    found = surface_distances(test, reference, SPACING, tolerance_mm=1.0)
    length = float(np.linalg.norm([39 * 5.0, 59 * 0.8, 69 * 0.7]))
    assert numbers(found) == pytest.approx((length, length, 0.0))


# --- properties


@pytest.mark.parametrize("definition", DEFINITIONS)
@given(pair=mask_pairs())
def test_swapping_the_masks_only_swaps_the_sides(pair, definition):
    test, reference = pair
    there = surface_distances(test, reference, SHEARED, tolerance_mm=1.0, definition=definition)
    back = surface_distances(reference, test, SHEARED, tolerance_mm=1.0, definition=definition)
    assert numbers(there) == pytest.approx(numbers(back))
    assert (there.n_test, there.area_test_mm2) == (back.n_reference, back.area_reference_mm2)


@given(mask_pairs())
def test_the_image_around_the_masks_does_not_matter(pair):
    small = surface_distances(*pair, SPACING, tolerance_mm=1.0)
    wide = surface_distances(*(np.pad(mask, 3) for mask in pair), SPACING, tolerance_mm=1.0)
    assert small == wide


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_blocks_and_chunks_do_not_change_the_result(monkeypatch, definition):
    rng = np.random.default_rng(3)
    test, reference = rng.random((2, 9, 15, 15)) < 0.01  # sparse: many are beyond the neighbourhood
    whole = surface_distances(test, reference, SPACING, tolerance_mm=1.0, definition=definition)
    monkeypatch.setattr(surface_points, "BLOCK", 37)
    monkeypatch.setattr(nearest_distance, "CHUNK", 5)
    monkeypatch.setattr(nearest_distance, "TREE", 11)
    assert surface_distances(test, reference, SPACING, tolerance_mm=1.0, definition=definition) == whole


@pytest.mark.parametrize("axes_mm", [np.eye(3), SPACING_MM, SHEARED_MM, np.diag([100.0, 0.1, 0.1])])
def test_the_neighbourhood_contains_every_shorter_offset(axes_mm):
    near = neighbourhood(axes_mm)
    assert (np.diff(near.lengths_mm) >= 0).all()
    around = np.stack(np.meshgrid(*[np.arange(-25, 26)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(around @ axes_mm, axis=1)
    shorter = {
        tuple(offset) for offset in around[(lengths > 0) & (lengths < near.lengths_mm[-1] * (1 - 1e-9))].tolist()
    }
    assert shorter <= {tuple(offset) for offset in near.offsets.tolist()}


def test_a_grid_sheared_almost_flat_is_measured():
    axes_mm = np.array([[1.0, 0, 0], [1.0, 1e-5, 0], [1.0, 0, 1.0]])
    rng = np.random.default_rng(5)
    test, reference = rng.random((2, 4, 5, 6)) < 0.3
    found = surface_distances(test, reference, affine_of(axes_mm), tolerance_mm=0.5)
    assert numbers(found) == pytest.approx(by_all_pairs(test, reference, axes_mm, 0.5), rel=1e-9)


def test_common_box_of_nothing_is_empty():
    assert EMPTY[common_box(EMPTY, EMPTY)].size == 0


# --- label maps and wrong input


def test_organs_of_label_maps_are_measured_on_the_grid_of_the_reference():
    geometry = Geometry((9, 8, 6), np.diag([-0.7, -0.8, 5.0, 1.0]))
    test, reference = np.zeros((2, 6, 8, 9), np.uint8)
    test[1:4, 2:6, 1:4], reference[1:4, 2:6, 2:5] = Structure.LIVER, Structure.LIVER
    reference[2, 2, 7] = Structure.SPLEEN
    found = organ_surface_distances(LabelMap(test, geometry), LabelMap(reference, geometry), tolerance_mm=0.7)
    alone = surface_distances(test == 1, reference == 1, SPACING, tolerance_mm=0.7)
    assert found[Structure.LIVER] == alone
    assert found[Structure.SPLEEN].nsd == 0.0


def test_label_maps_of_other_shapes_are_not_compared():
    maps = [LabelMap(np.zeros((n, 3, 3), np.uint8), Geometry((3, 3, n), np.eye(4))) for n in (2, 3)]
    with pytest.raises(ValueError, match="shapes"):
        organ_surface_distances(*maps, tolerance_mm=1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": VOXEL * 2}, "test has the values 2, expected 0 and 1"),
        ({"reference": np.where(VOXEL, 1.0, np.nan)}, "reference has the values nan"),
        ({"reference": VOXEL.astype(str)}, "reference is <U5"),
        ({"reference": VOXEL[0]}, "shapes"),
        ({"test": VOXEL[0], "reference": VOXEL[0]}, "three axes"),
        ({"reference": VOXEL[1:]}, "shapes"),
        ({"affine": SPACING_MM}, "4 x 4"),
        ({"affine": np.full((4, 4), np.nan)}, "finite"),
        ({"affine": affine_of(np.ones((3, 3)))}, "no volume"),
        ({"tolerance_mm": -1.0}, "tolerance"),
        ({"tolerance_mm": np.nan}, "tolerance"),
        ({"definition": "mesh"}, "mesh"),
    ],
)
def test_wrong_input_is_rejected(changes, message):
    given = {"test": VOXEL, "reference": VOXEL, "affine": SPACING, "tolerance_mm": 1.0} | changes
    with pytest.raises(ValueError, match=message):
        surface_distances(given.pop("test"), given.pop("reference"), given.pop("affine"), **given)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_masks_of_zeros_and_ones_are_masks(dtype):
    found = surface_distances(VOXEL.astype(dtype), SLICE.astype(dtype), SPACING, tolerance_mm=1.0)
    assert found == surface_distances(VOXEL, SLICE, SPACING, tolerance_mm=1.0)


def test_the_result_is_ready_for_json():
    values = surface_distances(VOXEL, SLICE, SPACING, tolerance_mm=1.0).to_dict()
    assert {"definition", "tolerance_mm", "hd95_mm", "assd_mm", "nsd", "n_test", "method", "reason"} <= set(values)
    assert values["hd95_mm"] > 0
