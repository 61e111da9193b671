"""Work in several processes, progress over cases, and properties of processor and allocator."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process, resource_tracker
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

from liverspleen.display import Display, beside_bar, duration
from liverspleen.errors import counted, one_line

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

Item = TypeVar("Item")
Result = TypeVar("Result")


_place: str | None = None

# mallopt(3), /usr/include/malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_OWN_SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of the processor, according to Linux, or its type such as `x86_64`."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(filter(None, names), platform.machine())


def has_bf16_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor has instructions for bfloat16, according to Linux; False if this is unknown."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = [line for line in text.splitlines() if line.startswith(("flags", "Features"))]  # x86, Arm
    return bool({"amx_bf16", "avx512_bf16", "bf16"} & set(" ".join(flags).split()))


def cores(limit: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the number of cores that this process may use: of its affinity, and up to the CPU limit of a container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time_us, period_us = map(int, limit.read_text(encoding="ascii").split())  # "max 100000" without a limit
    except (OSError, ValueError):
        return allowed
    return max(1, min(allowed, math.ceil(time_us / period_us)))


def signals(*names: str) -> tuple[signal.Signals, ...]:
    """The signals of these names that the system has; Windows has no SIGHUP, SIGUSR1 and SIGUSR2."""
    return tuple(number for name in names if (number := getattr(signal, name, None)) is not None)


STOP_SIGNALS: Final = signals("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
"""Requests to stop. Terminals, `timeout` and SLURM send them to all processes of a run."""


@contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Delay `STOP_SIGNALS` of this thread until the end of the block; processes started in it inherit the block.

    They never see a signal, also not before their first instruction, so this process alone decides how a run ends.
    Windows has no such block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stop_signals() -> None:
    """Ignore `STOP_SIGNALS` in this process, which its parent ends."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def spread(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, *, places: Sequence[str] = ()
) -> Iterator[list[Future[Result]]]:
    """Run `work` for each item in new processes, one per core if `workers` is 0, and yield the futures.

    Processes are spawned, because fork would copy the threads of a loaded torch. They end when this process ends, also
    when it is killed; if the block ends early, waiting items are not started, and after Ctrl-C the items in work end as
    after SIGTERM. `places` is empty or has one entry per process, such as a device; `place` returns the one of the
    current process.
    """
    context = get_context("spawn")
    if os.name == "posix":
        with stop_signals_blocked():  # SIGHUP would end the tracker, which starts with the first queue
            resource_tracker.ensure_running()
    queue = context.SimpleQueue()
    for name in places:
        queue.put(name)
    start = partial(_start, queue if places else None)
    pool = ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context, initializer=start)
    try:
        with stop_signals_blocked():
            futures = [pool.submit(_until_stopped, work, item) for item in items]
        yield futures
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        for process in (pool._processes or {}).values():  # the public `terminate_workers` needs Python 3.14
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _until_stopped(work: Callable[[Item], Result], item: Item) -> Result:
    """Return the result of the item; this process ends if SIGTERM stops it, after temporary files are removed."""
    try:
        return work(item)
    except SystemExit:
        os._exit(1)


def place() -> str | None:
    """Return the entry of this process in `places` of `spread`, or None."""
    return _place


def _start(places: SimpleQueue[str] | None) -> None:
    global _place
    if places is not None:
        _place = places.get()
    _stop_only_by_sigterm()
    Thread(target=_end_with_parent, daemon=True).start()


def _stop_only_by_sigterm() -> None:
    """Ignore all stop signals except the first SIGTERM, which the parent sends, and end the block of `spread`."""

    def stop(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(1)

    ignore_stop_signals()
    signal.signal(signal.SIGTERM, stop)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def progress(name: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """Show the progress over cases on stderr, and yield a function to call with the id of each finished case.

    A terminal shows a bar. A file or a pipe gets a line about once a minute, and one at the end.
    """
    start, done = time.monotonic(), 0
    planned = "" if total is None else f" of {total}"

    def text(case_id: str = "") -> str:
        left = f", {duration((time.monotonic() - start) * (total - done) / done)} left" if total and done else ""
        return f"{name}: {done}{planned} cases{left}" + (f", {one_line(case_id)}" if case_id else "")

    display = Display(total, text(), line=partial(print, file=sys.stderr, flush=True))

    def advance(case_id: str) -> None:
        nonlocal done
        done += 1
        if display.due:
            display.show(done, text(case_id))

    try:
        yield advance
        display.show(done, f"{name}: {counted(done, 'case')} in {duration(time.monotonic() - start)}")
    finally:
        display.close()


def say(line: str) -> None:
    """Print a line of progress without buffering, also to a pipe or a log file."""
    with beside_bar():
        print(line, flush=True)  # noqa: T201 - for notebooks and the command line


def keep_pages() -> bool:
    """Let glibc keep freed blocks of any size for the next allocation; return whether this is set.

    By default a block above 32 MiB is a separate mapping: it returns to the kernel when it is freed, and its pages are
    faulted in and cleared again when the next block of that size is allocated. A feature map of 512 x 512 slices is
    such a block, and a training step allocates hundreds. Results do not change; the process keeps its peak memory.

    Call it before the first large allocation. It does nothing without glibc, or if the environment already configures
    the allocator (`MALLOC_...`, `GLIBC_TUNABLES`).

    Source: mallopt(3): M_MMAP_MAX 0 disables mappings for large blocks, M_TRIM_THRESHOLD -1 disables trimming.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith(_OWN_SETTINGS) for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
