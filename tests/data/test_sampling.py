from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from liverspleen.data.cache import CachedCase
from liverspleen.data.sampling import BalancedSampler, BySizeSampler, StepSampler, balanced, natural, slice_classes

NEITHER, LIVER, SPLEEN, BOTH = range(4)
CLASSES = [NEITHER] * 50 + [LIVER] * 7 + [SPLEEN] * 2 + [BOTH] * 20


class DrawnCase(CachedCase):
    """A case with the organs of each slice only."""

    present = property(lambda self: self.organs)  # type: ignore[assignment]

    def __init__(self, *organs: tuple[bool, bool]) -> None:
        super().__init__("c", "p", Path(), (len(organs), 4, 4), "")
        object.__setattr__(self, "organs", np.array(organs))


CASES = [DrawnCase((False, False), (True, False), (True, True)), DrawnCase((False, True), (True, True))]


class Indices(Dataset[int]):
    def __getitem__(self, index: int) -> int:
        return index


def test_natural_order_is_consecutive_seeded_shuffles() -> None:
    shuffles = np.concatenate([np.random.default_rng([5, epoch]).permutation(7) for epoch in range(3)])
    assert list(StepSampler(7, steps=6, batch_size=3, seed=5)) == shuffles[:18].tolist()


def test_natural_order_visits_every_slice_once_an_epoch() -> None:
    whole = list(StepSampler(7, steps=6, batch_size=3, seed=5))
    assert sorted(whole[:7]) == sorted(whole[7:14]) == list(range(7))
    assert whole[:7] != whole[7:14]


def test_every_batch_of_four_holds_one_slice_of_each_class() -> None:
    sampled = [CLASSES[index] for index in BalancedSampler(CLASSES, steps=25, batch_size=4, seed=1)]
    assert Counter(sampled) == {NEITHER: 25, LIVER: 25, SPLEEN: 25, BOTH: 25}
    assert all(sorted(sampled[i : i + 4]) == [NEITHER, LIVER, SPLEEN, BOTH] for i in range(0, 100, 4))
    assert len({tuple(sampled[i : i + 4]) for i in range(0, 100, 4)}) > 5  # in changing order


def test_no_slice_is_repeated_before_all_of_its_class_were_used() -> None:
    sampled = list(BalancedSampler(CLASSES, steps=50, batch_size=4, seed=1))
    liver = [index for index in sampled if CLASSES[index] == LIVER]
    assert all(sorted(liver[i : i + 7]) == list(range(50, 57)) for i in range(0, 49, 7))
    assert liver[:7] != liver[7:14]
    neither = [index for index in sampled if CLASSES[index] == NEITHER]
    assert sorted(neither) == list(range(50))


@pytest.mark.parametrize("start", range(6))
def test_natural_order_is_resumed_where_it_stopped(start: int) -> None:
    whole = list(StepSampler(7, steps=6, batch_size=3, seed=5))
    assert list(StepSampler(7, steps=6, batch_size=3, seed=5, start=start)) == whole[3 * start :]


@pytest.mark.parametrize("batch_size", [3, 4, 5])
@pytest.mark.parametrize("classes", [CLASSES, [NEITHER] * 3 + [BOTH] * 2])
def test_balanced_order_is_resumed_where_it_stopped(classes: list[int], batch_size: int) -> None:
    whole = list(BalancedSampler(classes, steps=20, batch_size=batch_size, seed=2))
    for start in range(20):
        rest = BalancedSampler(classes, steps=20, batch_size=batch_size, seed=2, start=start)
        assert list(rest) == whole[batch_size * start :]
        assert len(rest) == batch_size * (20 - start)


def test_batches_of_similar_sizes_have_the_slices_of_the_natural_order() -> None:
    sizes = np.random.default_rng(0).choice([96, 128, 160, 192], 700)
    steps = 3 * BySizeSampler.WINDOW
    indices = list(BySizeSampler(sizes.tolist(), steps=steps, batch_size=4, seed=3))
    shuffles = list(StepSampler(700, steps=steps, batch_size=4, seed=3))
    span = 4 * BySizeSampler.WINDOW
    for first in range(0, len(indices), span):
        assert sorted(indices[first : first + span]) == sorted(shuffles[first : first + span])
    mixed = [len(set(sizes[indices[i : i + 4]])) > 1 for i in range(0, len(indices), 4)]
    assert sum(mixed) <= 3 * 3  # at most where one of the four sizes ends in one of the three windows
    means = [sizes[indices[i : i + 4]].mean() for i in range(0, span, 4)]
    assert means != sorted(means)


@pytest.mark.parametrize("start", [0, 1, 31, 32, 33, 64, 70])
def test_batches_of_similar_sizes_are_resumed_where_they_stopped(start: int) -> None:
    sizes = np.random.default_rng(0).choice([96, 128, 160], 50).tolist()
    whole = list(BySizeSampler(sizes, steps=70, batch_size=3, seed=5))
    rest = BySizeSampler(sizes, steps=70, batch_size=3, seed=5, start=start)
    assert list(rest) == whole[3 * start :]
    assert len(rest) == 3 * (70 - start)
    assert list(BySizeSampler(sizes, steps=95, batch_size=3, seed=5))[: 3 * 70] == whole


def test_longer_training_begins_with_the_shorter_one() -> None:
    short, long = (list(BalancedSampler(CLASSES, steps=steps, batch_size=4, seed=2)) for steps in (9, 30))
    assert long[:36] == short


def test_empty_classes_are_omitted() -> None:
    two = [NEITHER] * 3 + [BOTH] * 2
    assert Counter(two[i] for i in BalancedSampler(two, steps=10, batch_size=4, seed=0)) == {NEITHER: 20, BOTH: 20}
    assert sorted(BalancedSampler([LIVER] * 4, steps=1, batch_size=4, seed=0)) == [0, 1, 2, 3]


def test_seeds_give_different_orders() -> None:
    orders = {tuple(BalancedSampler(CLASSES, steps=5, batch_size=4, seed=seed)) for seed in range(5)}
    assert len(orders) == 5


def test_classes_follow_the_organs_of_each_slice_over_all_cases() -> None:
    assert slice_classes(CASES) == [NEITHER, LIVER, BOTH, SPLEEN, BOTH]


def test_every_combination_of_three_organs_is_a_class() -> None:
    shown = [(first, second, third) for third in (False, True) for second in (False, True) for first in (False, True)]
    assert slice_classes([DrawnCase(*shown)]) == list(range(8))


def test_both_samplers_are_made_from_cases() -> None:
    assert sorted(natural(CASES, steps=1, batch_size=5, seed=0)) == [0, 1, 2, 3, 4]
    sampled = Counter(balanced(CASES, steps=10, batch_size=4, seed=0))
    assert sampled == {0: 10, 1: 10, 2: 5, 3: 10, 4: 5}  # slices 2 and 4 share the class of both organs


@pytest.mark.parametrize("sampler", [natural, balanced])
def test_loader_processes_do_not_change_the_order(sampler) -> None:
    order = sampler(CASES, steps=6, batch_size=4, seed=3)
    loaders = (DataLoader(Indices(), batch_size=4, sampler=order, num_workers=workers) for workers in (0, 2))
    assert len({tuple(index for batch in loader for index in batch.tolist()) for loader in loaders}) == 1
