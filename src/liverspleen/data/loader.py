"""The data loader of trainings: its processes leave stop signals to the training, and its failures are one line."""

from __future__ import annotations

import errno
import math
import re
import shutil
import signal
import sys
from collections.abc import Iterable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from torch.utils.data import DataLoader

from liverspleen.data.slices import SliceStack
from liverspleen.errors import InputError, Issue
from liverspleen.processes import ignore_stop_signals, stop_signals_blocked

PREFETCHED: Final = 2
"""Batches that each process loads in advance."""

_SHARED: Final = Path("/dev/shm")
_TIMEOUT_S: Final = 1200.0  # a network disk may stand still for minutes; gloo gives up after 1800 s
_USED: Final = 2  # batches that a training holds: the current one and the next
_RESERVE: Final = 0.1  # of the free shared memory: for locks and other processes
_NO_SHARED_MEMORY: Final = ("shared memory", "No space left on device")
_RESUME: Final = "then run the same command again to resume"


class Loader(DataLoader[SliceStack]):
    """A data loader whose processes end only with the training, not by signals to the whole process group."""

    processes: tuple[BaseProcess, ...] = ()
    """of the last iterator"""

    def check_worker_number_rationality(self) -> None:
        """Give no warning about few cores: the number of processes is chosen."""

    def _get_iterator(self) -> Any:
        try:
            with stop_signals_blocked():  # a signal may come before `worker_init_fn` runs
                iterator = super()._get_iterator()
        except OSError as error:
            message = f"loader processes cannot be started: {error.strerror or error}"
            raise InputError(_failed(message, out_of_space=error.errno == errno.ENOSPC)) from error
        self.processes = tuple(getattr(iterator, "_workers", ()))
        for process in self.processes:
            # torch and Python end remaining processes with SIGTERM, which they ignore, and wait for them
            process._popen.terminate = process._popen.kill  # type: ignore[attr-defined]
        return iterator


def loader(dataset: Any, *, workers: int, **options: Any) -> Loader:
    """Return a loader with these processes and options of `DataLoader`; without processes it loads by itself."""
    if workers:
        options |= {"timeout": _TIMEOUT_S, "worker_init_fn": _ignore_stop_signals, "prefetch_factor": PREFETCHED}
    return Loader(dataset, num_workers=workers, **options)


def _ignore_stop_signals(_: int) -> None:
    ignore_stop_signals()


def affordable_workers(workers: int, batch_bytes: Iterable[int], *, trainings: int = 1) -> tuple[int, list[Issue]]:
    """Return how many loader processes have space for their batches in /dev/shm, with a warning if they are fewer.

    Batches do not depend on the number of processes.

    Args:
        workers: requested number.
        batch_bytes: size of the largest batch of each loader; all loaders are used at the same time.
        trainings: number of processes of a training on this machine, with as many loaders each.
    """
    if not workers or not sys.platform.startswith("linux"):
        return workers, []
    free, each = _free_bytes(), sum(batch_bytes) * trainings / (1 - _RESERVE)
    affordable = max(0, min(workers, int((free / each - _USED) / PREFETCHED)))
    if affordable == workers:
        return workers, []
    need = each * (PREFETCHED * workers + _USED)
    message = (
        f"trainer.workers={workers} needs {need / 2**20:.0f} MB of {_SHARED}, which has {free / 2**20:.0f} MB free, "
        f"so {affordable} are used; the result is the same"
    )
    hint = f"start the container with --shm-size={math.ceil(need / 2**30)}g, or set trainer.workers={affordable}"
    return affordable, [Issue("LS-TRN-025", message, hint, severity="warning")]


def _free_bytes() -> int:
    """Return the free shared memory; 0 if there is none."""
    try:
        return shutil.disk_usage(_SHARED).free
    except OSError:
        return 0


def loader_issue(error: BaseException, processes: Iterable[BaseProcess]) -> Issue | None:
    """Return the issue for an error that a loader or one of its processes raised; None for other errors."""
    text = str(error)
    if text.startswith("DataLoader timed out"):
        message = f"the loader processes returned no batch for {_TIMEOUT_S / 60:.0f} minutes"
        hint = f"check the disk of the slice cache (cache=), or set trainer.workers=0, {_RESUME}"
        return Issue("LS-TRN-023", message, hint)
    if re.match(r"Caught \w+ in (DataLoader worker|pin memory)", text):
        cause = text.strip().splitlines()[-1]
        return _failed(f"a loader process failed: {cause}", out_of_space=any(one in cause for one in _NO_SHARED_MEMORY))
    ended = [code for process in processes if (code := process.exitcode)]
    if text.startswith("DataLoader worker") or (isinstance(error, OSError | EOFError) and ended):
        return _killed(min(ended, default=0))
    return None


def _killed(code: int) -> Issue:
    """Return the issue for a process with this exit code; negative numbers are signals, 0 is unknown."""
    name = signal.Signals(-code).name if code < 0 else ""
    if name == "SIGKILL":
        message = "a loader process was killed by SIGKILL, as happens when memory runs out"
        return Issue("LS-TRN-024", message, f"set fewer trainer.workers=, or use more memory, {_RESUME}")
    if name == "SIGBUS":
        message = "a loader process was killed by SIGBUS: a file of the slice cache was changed or cannot be read"
        return Issue("LS-TRN-024", message, f"run liverspleen prepare action=verify with this cache=, {_RESUME}")
    reason = f"was killed by {name}" if name else f"ended with exit code {code}" if code else "ended"
    return _failed(f"a loader process {reason}")


def _failed(message: str, *, out_of_space: bool = False) -> Issue:
    if out_of_space:
        message = f"{message}; {_SHARED} has {_free_bytes() / 2**20:.0f} MB free"
        hint = f"free shared memory (container: --shm-size=2g), or set trainer.workers=0, {_RESUME}"
        return Issue("LS-TRN-024", message, hint)
    return Issue("LS-TRN-024", message, f"set trainer.workers=0 to see the cause, {_RESUME}")
