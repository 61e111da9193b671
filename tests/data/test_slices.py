from pathlib import Path

import numpy as np
import pytest
import torch

from liverspleen.data.cache import CachedCase
from liverspleen.data.slices import AIR_HU, Collate, SliceDataset, native_classes, slice_step
from liverspleen.organs import ORGANS, Structure


class FlatCase(CachedCase):
    """A case whose voxels are 10 * case + slice, so that a sample shows its source."""

    slices = property(lambda self: self.array)  # type: ignore[assignment]
    labels = property(lambda self: self.array.astype(np.uint8) * 0)  # type: ignore[assignment]

    def __init__(
        self,
        number: int,
        count: int,
        size: int = 16,
        spacing_mm: float = 5.0,
        labelled: tuple[Structure, ...] = ORGANS,
    ) -> None:
        shape = (count, size, size)
        super().__init__(f"c{number}", f"p{number}", Path(), shape, str(number), labelled, spacing_mm)
        values = 10 * number + np.arange(count, dtype=np.int16)
        object.__setattr__(self, "array", np.broadcast_to(values[:, None, None], self.shape))


def neighbour_values(dataset: SliceDataset, index: int) -> list[int]:
    return dataset[index].slices[:, 0, 0].tolist()


def test_neighbours_never_come_from_another_case() -> None:
    dataset = SliceDataset([FlatCase(1, 3), FlatCase(2, 2)], slices=3)
    assert [neighbour_values(dataset, i) for i in range(len(dataset))] == [
        [10, 10, 11],
        [10, 11, 12],
        [11, 12, 12],
        [20, 20, 21],
        [20, 21, 21],
    ]


def test_a_case_of_one_slice_is_its_own_neighbour() -> None:
    assert neighbour_values(SliceDataset([FlatCase(1, 1)], slices=5), 0) == [10] * 5


def test_batch_is_padded_with_air_to_the_stride() -> None:
    dataset = SliceDataset([FlatCase(1, 1, size=20), FlatCase(2, 1, size=12)], slices=3)
    batch = Collate(16)([dataset[0], dataset[1]])
    assert batch.slices.shape == (2, 3, 32, 32)
    assert batch.slices[1, 0, 0, 11:13].tolist() == [20, AIR_HU]
    assert batch.labels.shape == (2, 32, 32)


def test_neighbours_are_at_the_given_distance_for_any_spacing() -> None:
    cases = [FlatCase(1, 9, spacing_mm=1.25), FlatCase(2, 9, spacing_mm=5.0), FlatCase(4, 9, spacing_mm=8.0)]
    dataset = SliceDataset(cases, slices=3, distance_mm=5.0)
    assert [neighbour_values(dataset, 9 * case + 4) for case in range(3)] == [[10, 14, 18], [23, 24, 25], [43, 44, 45]]
    assert neighbour_values(dataset, 2) == [10, 12, 16]  # there is no slice four below: the first slice


@pytest.mark.parametrize(("distance_mm", "spacing_mm"), [(0.0, 1.0), (5.0, float("nan")), (5.0, 0.0)])
def test_invalid_distance_or_spacing(distance_mm: float, spacing_mm: float) -> None:
    with pytest.raises(ValueError, match="expected positive numbers"):
        slice_step(distance_mm, spacing_mm)


def test_batch_has_the_labelled_organs_of_each_sample() -> None:
    cases = [FlatCase(1, 1), FlatCase(2, 1, labelled=(Structure.SPLEEN,)), FlatCase(3, 1, labelled=())]
    dataset = SliceDataset(cases, slices=3)
    batch = Collate(16)([dataset[index] for index in range(3)])
    assert batch.labelled.tolist() == [[True, True], [False, True], [False, False]]


def test_labels_for_validation_are_on_the_grid_of_the_ct_without_padding() -> None:
    case = FlatCase(1, 2, size=12)
    object.__setattr__(case, "resampled", True)
    object.__setattr__(case, "native_labels", np.full((2, 20, 18), 2, np.uint8))
    sample = SliceDataset([case], slices=3, native=True)[0]
    batch = Collate(16, pad_labels=False)([sample, sample])
    assert batch.slices.shape == (2, 3, 16, 16)
    assert batch.matrix.tolist() == [[12, 12], [12, 12]]
    assert batch.labels.shape == (2, 20, 18)


def test_native_classes_are_restored_from_padded_and_resampled_slices() -> None:
    logits = torch.full((1, 3, 16, 16), -5.0)
    logits[:, 0] = 0.0
    logits[:, 1, :4, :2] = 5.0  # the left half without padding
    logits[:, 2, :, 4:] = 9.0  # padding, where logits have no effect
    assert native_classes(logits, (4, 4), (4, 4)).tolist() == [[[1, 1, 0, 0]] * 4]
    assert native_classes(logits, (4, 4), (8, 8)).tolist() == [[[1, 1, 1, 1, 0, 0, 0, 0]] * 8]
    assert native_classes(logits, (4, 4), (2, 2)).tolist() == [[[1, 0]] * 2]
