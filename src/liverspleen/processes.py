"""Work spread over processes, and what the processor can do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

Item = TypeVar("Item")
Result = TypeVar("Result")


_place: str | None = None


def has_bf16_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 itself, as Linux tells; False where nothing tells."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    told = [line for line in text.splitlines() if line.startswith(("flags", "Features"))]  # x86, Arm
    return bool({"amx_bf16", "avx512_bf16", "bf16"} & set(" ".join(told).split()))


@contextmanager
def spread(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, *, places: Sequence[str] = ()
) -> Iterator[list[Future[Result]]]:
    """`work` of each item in fresh processes, one per core when `workers` is 0.

    Fork would copy the threads of a loaded torch. The processes end when this one does, also when it is killed; when
    the block is left early, what has not begun does not begin. Each process is at one of the `places`, of which there
    are as many as `workers` if there are any; `place` tells `work` which.
    """
    context = get_context("spawn")
    queue = context.SimpleQueue()
    for name in places:
        queue.put(name)
    begin = partial(_begin, queue if places else None)
    pool = ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context, initializer=begin)
    try:
        yield [pool.submit(work, item) for item in items]
    finally:
        pool.shutdown(cancel_futures=True)


def place() -> str | None:
    """Of the `places` of `spread` the one of this process; None where there are none."""
    return _place


def _begin(places: SimpleQueue[str] | None) -> None:
    global _place
    if places is not None:
        _place = places.get()
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
