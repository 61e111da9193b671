from pathlib import Path

import numpy as np

from liverspleen.data.sections import AIR_HU, Collate, SectionDataset, StepSampler
from liverspleen.data.store import StoredCase


class FlatCase(StoredCase):
    """A case whose every voxel holds 10 * case + section, so that a sample shows where it came from."""

    sections = property(lambda self: self.array)  # type: ignore[assignment]
    labels = property(lambda self: self.array.astype(np.uint8) * 0)  # type: ignore[assignment]

    def __init__(self, number: int, count: int, size: int = 16) -> None:
        super().__init__(f"c{number}", f"p{number}", Path(), (count, size, size), str(number))
        values = 10 * number + np.arange(count, dtype=np.int16)
        object.__setattr__(self, "array", np.broadcast_to(values[:, None, None], self.shape))


def neighbour_values(dataset: SectionDataset, index: int) -> list[int]:
    return dataset[index].sections[:, 0, 0].tolist()


def test_neighbours_never_come_from_another_case() -> None:
    dataset = SectionDataset([FlatCase(1, 3), FlatCase(2, 2)], sections=3)
    assert [neighbour_values(dataset, i) for i in range(len(dataset))] == [
        [10, 10, 11],
        [10, 11, 12],
        [11, 12, 12],
        [20, 20, 21],
        [20, 21, 21],
    ]


def test_a_case_of_one_section_is_its_own_neighbour() -> None:
    assert neighbour_values(SectionDataset([FlatCase(1, 1)], sections=5), 0) == [10] * 5


def test_batch_is_padded_with_air_to_the_stride() -> None:
    dataset = SectionDataset([FlatCase(1, 1, size=20), FlatCase(2, 1, size=12)], sections=3)
    batch = Collate(16)([dataset[0], dataset[1]])
    assert batch.sections.shape == (2, 3, 32, 32)
    assert batch.sections[1, 0, 0, 11:13].tolist() == [20, AIR_HU]
    assert batch.labels.shape == (2, 32, 32)


def test_sampler_visits_every_section_once_an_epoch_and_goes_on_where_it_stopped() -> None:
    whole = list(StepSampler(7, steps=6, batch_size=3, seed=5))
    assert len(whole) == 18
    assert sorted(whole[:7]) == sorted(whole[7:14]) == list(range(7))
    assert whole[:7] != whole[7:14]
    for start in range(6):
        assert list(StepSampler(7, steps=6, batch_size=3, seed=5, start=start)) == whole[3 * start :]
