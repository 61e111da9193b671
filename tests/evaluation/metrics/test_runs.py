import numpy as np
import pytest
from scipy import ndimage

from liverspleen.evaluation.metrics.connected_components import enclosed_voxels
from liverspleen.evaluation.metrics.runs import connected_runs

STRUCTURES = {6: ndimage.generate_binary_structure(3, 1), 26: ndimage.generate_binary_structure(3, 3)}


def random_masks(number):
    """Masks of every density; some axes have one voxel only."""
    rng = np.random.default_rng(0)
    for _ in range(number):
        yield rng.random(rng.integers(1, [8, 14, 18])) < rng.uniform(0.02, 0.98)


def painted(shape, places, lengths, part):
    """The part of each voxel from 1 on, 0 for background."""
    numbered = np.zeros(shape, int)
    for (index, row, column), length, number in zip(places, lengths, part, strict=True):
        assert not numbered[index, row, column : column + length].any()
        numbered[index, row, column : column + length] = number + 1
    return numbered


@pytest.mark.parametrize("neighbours", [6, 26])
def test_parts_of_500_random_masks_are_those_of_scipy_in_the_same_order(neighbours):
    several = 0
    for mask in random_masks(500):
        # SciPy numbers the parts in the order of their first voxels, slice by slice and row by row
        expected, count = ndimage.label(mask, structure=STRUCTURES[neighbours])
        numbered = painted(mask.shape, *connected_runs(mask, neighbours))
        np.testing.assert_array_equal(numbered, expected)
        several += count > 1
    assert several > 100


def test_cavities_of_random_masks_are_the_holes_that_scipy_fills():
    found = [(enclosed_voxels(mask), mask) for mask in random_masks(500)]
    for voxels, mask in found:
        assert voxels == np.count_nonzero(ndimage.binary_fill_holes(mask) & ~mask)
    assert sum(voxels > 0 for voxels, _ in found) > 50


@pytest.mark.parametrize(("neighbours", "parts"), [(6, [0, 1, 0, 1, 1]), (26, [0, 0, 0, 0, 0])])
def test_runs_are_maximal_and_in_the_order_of_the_voxels(neighbours, parts):
    mask = np.array([[[1, 1, 0, 1], [1, 0, 0, 1]], [[0, 0, 0, 0], [0, 0, 1, 1]]], bool)
    places, lengths, part = connected_runs(mask, neighbours)
    assert places.tolist() == [[0, 0, 0], [0, 0, 3], [0, 1, 0], [0, 1, 3], [1, 1, 2]]
    assert lengths.tolist() == [2, 1, 1, 1, 2]
    assert part.tolist() == parts


@pytest.mark.parametrize(
    ("second", "one_with_6", "one_with_26"),
    [
        ((1, 1, 1), False, False),
        ((1, 1, 2), False, True),  # a corner
        ((0, 1, 2), False, True),  # an edge
        ((0, 0, 2), True, True),  # a face, in the same row
        ((1, 0, 3), True, True),  # a face
        ((1, 0, 2), False, True),  # an edge
    ],
)
def test_neighbours_share_a_face_or_also_an_edge_or_a_corner(second, one_with_6, one_with_26):
    mask = np.zeros((2, 2, 4), bool)
    mask[0, 0, 3] = mask[second] = True
    assert [connected_runs(mask, neighbours)[2].max() == 0 for neighbours in (6, 26)] == [one_with_6, one_with_26]


def test_an_empty_mask_has_no_runs():
    for neighbours in (6, 26):
        places, lengths, part = connected_runs(np.zeros((2, 3, 4), bool), neighbours)
        assert (places.shape, lengths.size, part.size) == ((0, 3), 0, 0)
