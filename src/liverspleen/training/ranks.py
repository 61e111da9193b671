"""What the processes of one training tell each other."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import timedelta
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from liverspleen.errors import Issue

_BEAT_S = 3.0
_SILENT_S = 30.0  # a rank that has not been heard of for so long is dead; half of what a job may take to end
_log = logging.getLogger(__name__)
Value = TypeVar("Value")


def gathered(value: Value) -> list[Value]:
    """`value` of every rank, in their order; called by all of them.

    >>> gathered(3)
    [3]
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def mean(value: Tensor) -> Tensor:
    """Mean of a tensor over the ranks; called by all of them, and none waits for its GPU."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


class Highest:
    """The highest of each number over the ranks, on its way to the host; made by all of them.

    On a GPU nothing waits until `values` is asked for, and then only for what was launched before. Lightning's own
    `reduce` makes the host wait for its GPU each time.

    >>> Highest(torch.tensor([3, 0])).values()
    [3, 0]
    """

    def __init__(self, numbers: Tensor) -> None:
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(numbers, op=distributed.ReduceOp.MAX)
        self._numbers, self._ready = numbers, None
        if numbers.is_cuda:
            pinned = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            self._numbers, self._ready = pinned.copy_(numbers, non_blocking=True), torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._ready.record()

    def values(self) -> list[int]:
        """Wait for them."""
        if self._ready is not None:
            self._ready.synchronize()
        values: list[int] = self._numbers.tolist()
        return values


class Heartbeat(pl.Callback):
    """Ends this process when another rank has died, on whatever node.

    A dead rank leaves the others waiting in a collective operation, on GPUs for many minutes. A thread of each rank
    counts in a cache that the first rank keeps, and looks whether the others count too.
    """

    def __init__(self) -> None:
        self._over = threading.Event()

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the cache, start the thread."""
        if trainer.world_size == 1:
            return
        host, first = os.environ["MASTER_ADDR"], trainer.is_global_zero
        limit = timedelta(seconds=_SILENT_S)
        cache = TCPStore(host, 0, None, True, limit, wait_for_workers=False) if first else None
        port = trainer.strategy.broadcast(cache.port if cache else 0)
        cache = cache or TCPStore(host, port, None, False, limit)
        ranks = (trainer.global_rank, trainer.world_size)
        threading.Thread(target=self._watch, args=(cache, *ranks), daemon=True, name="heartbeat").start()

    def _watch(self, cache: Any, rank: int, ranks: int) -> None:
        counts, heard = [0] * ranks, [time.monotonic()] * ranks
        while not self._over.wait(_BEAT_S):
            try:
                cache.add(str(rank), 1)
                now = [cache.add(str(other), 0) for other in range(ranks)]
            except RuntimeError:  # the cache is gone, and the first rank with it
                now = [-1, *counts[1:]]
            moment = time.monotonic()
            heard = [moment if n != c and n >= 0 else h for n, c, h in zip(now, counts, heard, strict=True)]
            counts = now
            silent = [other for other in range(ranks) if moment - heard[other] > _SILENT_S or now[other] < 0]
            if silent and not self._over.is_set():
                message = f"rank {silent[0]} of {ranks} has died"
                _log.error("%s", Issue("LS-TRN-012", message, "see its own line, then run the same command to go on"))
                os._exit(1)  # the main thread may wait in a collective operation for ever

    def on_fit_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """All are there: nobody needs to listen any more, and the first rank may close the cache."""
        self._over.set()
        trainer.strategy.barrier()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """This rank ends by itself."""
        self._over.set()
