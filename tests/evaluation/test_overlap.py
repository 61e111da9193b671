import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from liverspleen.evaluation.overlap import Overlap, overlaps
from liverspleen.structures import ORGANS, Structure


@st.composite
def label_pairs(draw):
    shape = draw(array_shapes(min_dims=1, max_dims=3, max_side=5))
    labels = arrays(np.uint8, shape, elements=st.integers(0, 2))
    return draw(labels), draw(labels)


def by_definition(first, second, organ):
    """TP, FP and FN counted voxel by voxel."""
    pairs = list(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    return (
        sum(a == organ and b == organ for a, b in pairs),
        sum(a == organ and b != organ for a, b in pairs),
        sum(a != organ and b == organ for a, b in pairs),
    )


@given(label_pairs())
def test_counts_are_those_of_the_definition(pair):
    found = overlaps(*pair)
    assert list(found) == list(ORGANS)
    for organ, overlap in found.items():
        assert (overlap.tp, overlap.fp, overlap.fn) == by_definition(*pair, organ)


@given(label_pairs())
def test_swapping_the_two_maps_swaps_fp_and_fn_and_keeps_the_score(pair):
    there, back = overlaps(*pair), overlaps(*reversed(pair))
    for organ in ORGANS:
        assert (there[organ].fp, there[organ].fn) == (back[organ].fn, back[organ].fp)
        assert there[organ].dss == back[organ].dss


@given(label_pairs())
def test_counts_of_sections_add_up_to_those_of_the_case(pair):
    first, second = pair
    for organ in ORGANS:
        parts = [overlaps(a, b)[organ] for a, b in zip(np.atleast_2d(first), np.atleast_2d(second), strict=True)]
        assert sum(parts, start=Overlap(0, 0, 0)) == overlaps(first, second)[organ]


def test_dss_of_two_boxes_by_hand():
    first, second = np.zeros((2, 10, 10), np.uint8), np.zeros((2, 10, 10), np.uint8)
    first[:, 2:6, 2:6] = Structure.LIVER  # 32 voxels
    second[:, 3:7, 2:6] = Structure.LIVER  # 32 voxels, 24 of them shared
    assert overlaps(first, second)[Structure.LIVER].dss == 0.75


@pytest.mark.parametrize(("counts", "dss"), [((0, 0, 0), None), ((0, 5, 0), 0.0), ((0, 0, 5), 0.0), ((4, 0, 0), 1.0)])
def test_dss_of_empty_and_perfect_overlaps(counts, dss):
    assert Overlap(*counts).dss == dss


def test_arrays_of_other_shapes_are_not_compared():
    with pytest.raises(ValueError, match="shapes"):
        overlaps(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
