"""Work spread over processes, and what the processor can do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def has_bf16_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 itself, as Linux tells; False where nothing tells."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    told = [line for line in text.splitlines() if line.startswith(("flags", "Features"))]  # x86, Arm
    return bool({"amx_bf16", "avx512_bf16", "bf16"} & set(" ".join(told).split()))


@contextmanager
def spread(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[list[Future[Result]]]:
    """`work` of each item in fresh processes, one per core when `workers` is 0.

    Fork would copy the threads of a loaded torch. The processes end when this one does, also when it is killed; when
    the block is left early, what has not begun does not begin.
    """
    pool = ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("spawn"), initializer=_end_together)
    try:
        yield [pool.submit(work, item) for item in items]
    finally:
        pool.shutdown(cancel_futures=True)


def _end_together() -> None:
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
