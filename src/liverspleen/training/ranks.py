"""Communication between the processes (ranks) of a training."""

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
_SILENT_S = 30.0  # a rank without a heartbeat for this time is dead; half of the time in which a job must end
_log = logging.getLogger(__name__)
Value = TypeVar("Value")


def gathered(value: Value) -> list[Value]:
    """Return `value` of every rank, in their order; all ranks must call it.

    >>> gathered(3)
    [3]
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def mean(value: Tensor) -> Tensor:
    """Return the mean of a tensor over the ranks; all ranks must call it, and the host does not wait for the GPU."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


class Highest:
    """Asynchronous maximum of each number over the ranks; all ranks must create it.

    On a GPU only `values` waits, and only for operations that were launched before. Lightning's `reduce` makes the host
    wait for the GPU at each call.

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
        """Wait for the numbers and return them."""
        if self._ready is not None:
            self._ready.synchronize()
        values: list[int] = self._numbers.tolist()
        return values


class Heartbeat(pl.Callback):
    """Ends this process when another rank has died, on any node.

    Without it the other ranks wait in a collective operation, on GPUs for many minutes. A thread of each rank
    increments a counter in a key-value store of the first rank, and checks that the counters of the others increase.
    """

    def __init__(self) -> None:
        self._over = threading.Event()

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the store and start the thread."""
        if trainer.world_size == 1:
            return
        host, first = os.environ["MASTER_ADDR"], trainer.is_global_zero
        limit = timedelta(seconds=_SILENT_S)
        store = TCPStore(host, 0, None, True, limit, wait_for_workers=False) if first else None
        port = trainer.strategy.broadcast(store.port if store else 0)
        store = store or TCPStore(host, port, None, False, limit)
        ranks = (trainer.global_rank, trainer.world_size)
        threading.Thread(target=self._watch, args=(store, *ranks), daemon=True, name="heartbeat").start()

    def _watch(self, store: Any, rank: int, ranks: int) -> None:
        counts, heard = [0] * ranks, [time.monotonic()] * ranks
        while not self._over.wait(_BEAT_S):
            try:
                store.add(str(rank), 1)
                now = [store.add(str(other), 0) for other in range(ranks)]
            except RuntimeError:  # the store has closed, so the first rank has ended
                now = [-1, *counts[1:]]
            moment = time.monotonic()
            heard = [moment if n != c and n >= 0 else h for n, c, h in zip(now, counts, heard, strict=True)]
            counts = now
            silent = [other for other in range(ranks) if moment - heard[other] > _SILENT_S or now[other] < 0]
            if silent and not self._over.is_set():
                message = f"rank {silent[0]} of {ranks} has died"
                hint = "read the messages of that rank, then run the same command again to resume"
                _log.error("%s", Issue("LS-TRN-012", message, hint))
                os._exit(1)  # the main thread may wait in a collective operation forever

    def on_fit_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Stop the heartbeat when all ranks have finished, so that the first rank can close the store."""
        self._over.set()
        trainer.strategy.barrier()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Stop the heartbeat; this rank ends with an exception."""
        self._over.set()
