import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from liverspleen.evaluation.metrics import overlap as module
from liverspleen.evaluation.metrics.overlap import Overlap, dss, overlaps
from liverspleen.organs import ORGANS, Structure


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
def test_counts_of_slices_add_up_to_those_of_the_case(pair):
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


@pytest.mark.parametrize(("counts", "iou"), [((0, 0, 0), None), ((0, 5, 0), 0.0), ((0, 0, 5), 0.0), ((4, 0, 0), 1.0)])
def test_iou_of_empty_and_perfect_overlaps(counts, iou):
    assert Overlap(*counts).iou == iou


def test_iou_and_voxels_of_each_side_by_hand():
    found = Overlap(tp=24, fp=8, fn=16)
    assert (found.first_voxels, found.second_voxels) == (32, 40)
    assert found.iou == 0.5  # 24 / 48
    assert found.iou == pytest.approx(found.dss / (2 - found.dss))


@given(label_pairs(), st.sampled_from([np.uint8, np.int16, np.int64, np.float32]))
def test_the_type_and_memory_order_of_the_labels_have_no_effect(pair, dtype):
    first, second = pair
    plain = overlaps(first, second)
    assert overlaps(first.astype(dtype), np.asfortranarray(second)) == plain
    assert overlaps(np.flip(first), np.flip(second)) == plain
    assert overlaps(np.asfortranarray(first), np.asfortranarray(second)) == plain


def test_one_flipped_view_is_compared_voxel_by_voxel():
    labels = np.zeros((2, 3, 4), np.uint8)
    labels[0, 0, :2] = Structure.SPLEEN
    assert overlaps(labels[:, :, ::-1], labels)[Structure.SPLEEN] == Overlap(tp=0, fp=2, fn=2)
    stored = np.ascontiguousarray(labels[:, :, ::-1])[:, :, ::-1]  # the same voxels in another memory order
    assert overlaps(stored, labels)[Structure.SPLEEN] == Overlap(tp=2, fp=0, fn=0)


@given(label_pairs())
def test_the_block_size_does_not_change_the_result(pair):
    whole = overlaps(*pair)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 7)
        assert overlaps(*pair) == whole


def test_the_score_of_arrays_without_a_voxel_is_undefined():
    assert overlaps(np.zeros((0, 4), np.uint8), np.zeros((0, 4), np.uint8))[Structure.LIVER].dss is None


def test_arrays_of_other_shapes_are_not_compared():
    with pytest.raises(ValueError, match="shapes"):
        overlaps(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))


# --- plain masks


def test_score_of_two_masks_is_twice_the_shared_over_both():
    test, reference = np.zeros((2, 4, 5, 6), bool)
    test[1:3, 1:4, 1:5], reference[1:3, 1:4, 3:6] = True, True  # 24 and 18 voxels, 12 shared
    assert dss(test, reference) == 24 / 42
    assert dss(test.astype(np.int16), reference.astype(float)) == 24 / 42
    assert dss(np.asfortranarray(test), reference) == 24 / 42


def test_score_of_one_empty_mask_is_zero_and_of_two_undefined():
    mask, empty = np.ones((2, 3), bool), np.zeros((2, 3), bool)
    assert dss(mask, empty) == dss(empty, mask) == 0.0
    assert dss(empty, empty) is None


@pytest.mark.parametrize(
    ("test", "reference", "message"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), "shapes"),
        ([0, 1, 2], [0, 1, 1], "test has the values 2, expected 0 and 1"),
        ([0, 1, 1], [0.0, 0.4, 1.0], "reference has the values 0.4"),
        ([0, 1], [0, -1], "reference has the values -1"),
        ([0, 1], [0, np.nan], "reference has the values nan"),
        ([0, 1], ["0", "1"], "expected a boolean array"),
        (np.arange(9), np.zeros(9), "the values 2, 3, 4, …"),
    ],
)
def test_a_score_of_arrays_that_are_not_masks_is_rejected(test, reference, message):
    with pytest.raises(ValueError, match=message):
        dss(test, reference)
