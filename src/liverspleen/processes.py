"""Work spread over processes with a progress bar, and what processor and allocator can do."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
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

# mallopt(3), /usr/include/malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_OWN_SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")


def has_bf16_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 itself, as Linux tells; False where nothing tells."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    told = [line for line in text.splitlines() if line.startswith(("flags", "Features"))]  # x86, Arm
    return bool({"amx_bf16", "avx512_bf16", "bf16"} & set(" ".join(told).split()))


def signals(*names: str) -> tuple[signal.Signals, ...]:
    """The signals of these names that the system has; Windows has no SIGHUP, SIGUSR1 and SIGUSR2."""
    return tuple(number for name in names if (number := getattr(signal, name, None)) is not None)


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


@contextmanager
def progress(name: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on stderr; call what is yielded with the case that is done."""
    from tqdm import tqdm

    pause_s = 0.1 if sys.stderr.isatty() else 10.0  # a log file needs no hundred lines
    with tqdm(total=total, desc=name, unit="case", mininterval=pause_s, dynamic_ncols=True) as bar:

        def advance(case_id: str) -> None:
            bar.set_postfix_str(case_id, refresh=False)
            bar.update()

        yield advance


def say(line: str) -> None:
    """Print one line of progress at once, also into a pipe or a log file."""
    print(line, flush=True)  # noqa: T201 - what a notebook and the command line both show


def keep_pages() -> bool:
    """Let glibc keep freed blocks of any size for the next allocation; True if it will.

    By default a block above 32 MiB is a mapping of its own: it goes back to the kernel when it is freed, and its pages
    are faulted in and cleared again when the next block of that size is asked for. A feature map of 512 x 512 slices
    is such a block, and a training step makes hundreds. No number changes by it; the process keeps its peak memory.

    To be called before the first large allocation. Nothing is done without glibc, or where the environment already
    tunes the allocator (`MALLOC_...`, `GLIBC_TUNABLES`).

    Source: mallopt(3): M_MMAP_MAX 0 means no mappings for large blocks, M_TRIM_THRESHOLD -1 no trimming.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith(_OWN_SETTINGS) for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
