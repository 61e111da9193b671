"""The Lightning data module of the slice cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from liverspleen.data.cache import CachedCase
from liverspleen.data.leaks import reject_leaks
from liverspleen.data.loader import Loader, affordable_workers, loader, loader_issue
from liverspleen.data.sampling import natural
from liverspleen.data.slices import Collate, SliceDataset, SliceStack
from liverspleen.errors import Issue
from liverspleen.organs import ORGANS


class SliceDataModule(pl.LightningDataModule):
    """Shuffled slices of the training side for a number of steps; the validation side case by case, in order.

    Args:
        training: stored training cases.
        validation: stored validation cases; may be empty.
        slices: number of neighbouring slices in a sample.
        stride: output stride of the network, to which batches are padded.
        batch_size: number of slices in a batch of one rank.
        steps: number of steps of the complete training.
        seed: of the order of slices.
        workers: number of loader processes.
        start: number of finished steps, for a resumed training.
        slice_distance_mm: approximate distance of the slices in a sample; None: adjacent slices.
        accumulate: number of batches of each rank in a step.
        ranks: number of processes that train together.
        sampler: returns the order of the training slices for cases, steps, batch size, seed and start.

    Raises:
        InputError: there is no training case, or the same patient or the same voxels on both sides.
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
        step_size = batch_size * accumulate * ranks
        self.sampler = sampler(training, steps=steps, batch_size=step_size, seed=seed, start=start)
        self.batch_size, self.workers, self.ranks = batch_size, workers, ranks
        self.collate = Collate(stride)
        self._loaders: list[Loader] = []

    def limit_workers(self, trainings: int) -> list[Issue]:
        """Use fewer loader processes, with a warning, if shared memory has no space for the batches of all of them.

        `trainings` is the number of ranks on this machine.
        """
        sizes = [data.largest_bytes(self.collate.stride) for data in (self.training, self.validation)]
        sizes = [self.batch_size * size for size in sizes]
        self.workers, issues = affordable_workers(self.workers, sizes, trainings=trainings)
        return issues

    def failure(self, error: BaseException) -> Issue | None:
        """Return the issue for an error that is about the loader processes; None for other errors."""
        return loader_issue(error, [process for one in self._loaders for process in one.processes])

    @property
    def rank(self) -> int:
        """Rank of this process."""
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def pinned(self) -> bool:
        """Whether batches are copied to a GPU, which is asynchronous from pinned memory."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def train_dataloader(self) -> DataLoader[SliceStack]:
        """Return the batches of this rank for the remaining steps."""
        batches = RankBatches(self.sampler, batch_size=self.batch_size, rank=self.rank, ranks=self.ranks)
        return self._loader(self.training, batches, self.collate, persistent_workers=self.workers > 0)

    def val_dataloader(self) -> DataLoader[SliceStack] | list[DataLoader[SliceStack]]:
        """Return the slices of this rank's cases in order; a batch has slices of one case, and no slice is repeated."""
        if not self.validation.cases:
            return []
        edges = list(pairwise(self.validation.offsets.tolist()))
        cases = cases_by_rank([last - first for first, last in edges], self.ranks)[self.rank]
        batches = [
            list(range(start, min(start + self.batch_size, edges[case][1])))
            for case in cases
            for start in range(*edges[case], self.batch_size)
        ]
        if not batches:  # a rank without cases still takes part in the sum over ranks
            return DataLoader([self._no_samples()], batch_size=None)  # type: ignore[arg-type]
        return self._loader(self.validation, batches, Collate(self.collate.stride, pad_labels=False))

    def _loader(self, data: SliceDataset, batches: Iterable[list[int]], collate: Collate, **options: bool) -> Loader:
        made = loader(
            data,
            workers=self.workers,
            batch_sampler=batches,
            collate_fn=collate,
            pin_memory=self.pinned,
            **options,
        )
        self._loaders.append(made)
        return made

    def _no_samples(self) -> SliceStack:
        """Return an empty batch."""
        side, empty = self.collate.stride, torch.zeros(0, dtype=torch.int64)
        return SliceStack(
            torch.zeros(0, self.validation.slices, side, side, dtype=torch.int16),
            torch.zeros(0, side, side, dtype=torch.uint8),
            empty,
            empty,
            torch.zeros(0, len(ORGANS), dtype=torch.bool),
            torch.zeros(0, 2, dtype=torch.int64),
        )


class RankBatches(Sampler[list[int]]):
    """Every `ranks`-th batch of a sampler's order, starting at number `rank`.

    The batches of all ranks in a step, in the order of ranks, equal the large batch of a single process.

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


def cases_by_rank(lengths: Sequence[int], ranks: int) -> list[list[int]]:
    """Return the case indices of each rank: cases in order of length go to the rank with the fewest slices.

    >>> cases_by_rank([5, 9, 4, 4], 2)
    [[1, 3], [0, 2]]
    >>> cases_by_rank([5], 2)
    [[0], []]
    """
    found: list[list[int]] = [[] for _ in range(ranks)]
    load = [0] * ranks
    for case in sorted(range(len(lengths)), key=lambda case: -lengths[case]):
        rank = load.index(min(load))
        found[rank].append(case)
        load[rank] += lengths[case]
    return [sorted(cases) for cases in found]
