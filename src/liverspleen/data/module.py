"""The Lightning data module over the slice cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from liverspleen.data.cache import CachedCase
from liverspleen.data.leaks import reject_leaks
from liverspleen.data.sampling import natural
from liverspleen.data.slices import Collate, SliceDataset, SliceStack
from liverspleen.organs import ORGANS


class SliceDataModule(pl.LightningDataModule):
    """Shuffled slices of the training side for a number of steps; the validation side case by case, in order.

    Args:
        training: stored cases to learn from.
        validation: stored cases to validate on; may be empty.
        slices: neighbouring slices in a sample.
        stride: output stride of the network, to which batches are padded.
        batch_size: slices in a batch of one rank.
        steps: of the whole training.
        seed: of the order.
        workers: loader processes.
        start: steps already done, for a training that goes on.
        slice_distance_mm: about how far apart the slices in a sample lie; None: adjacent.
        accumulate: batches of each rank in a step.
        ranks: processes that train together; which one this is, the trainer knows.
        sampler: cases, steps, batch size, seed and start to the order of the training slices.

    Raises:
        InputError: nothing to train on, or the same patient or the same voxels on both sides.
    """

    def __init__(
        self,
        training: Sequence[CachedCase],
        validation: Sequence[CachedCase],
        *,
        slices: int,
        stride: int,
        batch_size: int,
        steps: int,
        seed: int,
        workers: int,
        start: int = 0,
        slice_distance_mm: float | None = None,
        sampler: Callable[..., Sampler[int]] = natural,
        accumulate: int = 1,
        ranks: int = 1,
    ) -> None:
        super().__init__()
        reject_leaks(training, validation)
        self.training = SliceDataset(training, slices=slices, distance_mm=slice_distance_mm)
        self.validation = SliceDataset(validation, slices=slices, distance_mm=slice_distance_mm, native=True)
        whole = batch_size * accumulate * ranks
        self.sampler = sampler(training, steps=steps, batch_size=whole, seed=seed, start=start)
        self.batch_size, self.workers, self.ranks = batch_size, workers, ranks
        self.collate = Collate(stride)

    @property
    def rank(self) -> int:
        """Of this process."""
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def pinned(self) -> bool:
        """Whether batches go on to a GPU, which takes them from pinned memory while it computes."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def train_dataloader(self) -> DataLoader[SliceStack]:
        """This rank's batches of the steps to do."""
        return DataLoader(
            self.training,
            batch_sampler=RankBatches(self.sampler, batch_size=self.batch_size, rank=self.rank, ranks=self.ranks),
            num_workers=self.workers,
            collate_fn=self.collate,
            pin_memory=self.pinned,
            persistent_workers=self.workers > 0,
        )

    def val_dataloader(self) -> DataLoader[SliceStack] | list[DataLoader[SliceStack]]:
        """The slices of one case of this rank after another; a batch never spans two cases, nothing is repeated."""
        if not self.validation.cases:
            return []
        edges = list(pairwise(self.validation.offsets.tolist()))
        own = fractions([last - first for first, last in edges], self.ranks)[self.rank]
        batches = [
            list(range(start, min(start + self.batch_size, edges[case][1])))
            for case in own
            for start in range(*edges[case], self.batch_size)
        ]
        if not batches:  # a rank without cases takes part in the sum over ranks nevertheless
            return DataLoader([self._no_samples()], batch_size=None)  # type: ignore[arg-type]
        return DataLoader(
            self.validation,
            batch_sampler=batches,
            num_workers=self.workers,
            collate_fn=Collate(self.collate.stride, pad_labels=False),
            pin_memory=self.pinned,
        )

    def _no_samples(self) -> SliceStack:
        """A batch of none."""
        side, none = self.collate.stride, torch.zeros(0, dtype=torch.int64)
        return SliceStack(
            torch.zeros(0, self.validation.slices, side, side, dtype=torch.int16),
            torch.zeros(0, side, side, dtype=torch.uint8),
            none,
            none,
            torch.zeros(0, len(ORGANS), dtype=torch.bool),
            torch.zeros(0, 2, dtype=torch.int64),
        )


class RankBatches(Sampler[list[int]]):
    """Every `ranks`-th batch of a sampler's order, from number `rank` on.

    So the ranks' batches of a step, one rank after the other, are the one large batch of a single process.

    >>> list(RankBatches([5, 3, 4, 0, 1, 2, 7, 6], batch_size=2, rank=1, ranks=2))
    [[4, 0], [7, 6]]
    """

    def __init__(self, sampler: Sampler[int] | Sequence[int], *, batch_size: int, rank: int, ranks: int) -> None:
        self.sampler, self.batch_size, self.rank, self.ranks = sampler, batch_size, rank, ranks

    def __len__(self) -> int:
        return len(self.sampler) // (self.batch_size * self.ranks)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[int]]:
        order, number = iter(self.sampler), 0
        while batch := list(islice(order, self.batch_size)):
            if number % self.ranks == self.rank:
                yield batch
            number += 1


def fractions(lengths: Sequence[int], ranks: int) -> list[list[int]]:
    """Numbers of the cases of each rank: the longest first, each to the rank with least to do; no case twice.

    >>> fractions([5, 9, 4, 4], 2)
    [[1, 3], [0, 2]]
    >>> fractions([5], 2)
    [[0], []]
    """
    found: list[list[int]] = [[] for _ in range(ranks)]
    load = [0] * ranks
    for case in sorted(range(len(lengths)), key=lambda case: -lengths[case]):
        rank = load.index(min(load))
        found[rank].append(case)
        load[rank] += lengths[case]
    return [sorted(cases) for cases in found]
