"""Progress bars of the verbs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread

from tqdm import tqdm


@contextmanager
def progress(name: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on stderr; call what is yielded with the case that is done."""
    pause_s = 0.1 if sys.stderr.isatty() else 10.0  # a log file needs no hundred lines
    with tqdm(total=total, desc=name, unit="case", mininterval=pause_s, dynamic_ncols=True) as bar:

        def advance(case_id: str) -> None:
            bar.set_postfix_str(case_id, refresh=False)
            bar.update()

        yield advance


def processes(workers: int) -> Executor:
    """Fresh processes, one per core when `workers` is 0; fork would copy the threads of a loaded torch.

    They end when this process does, also when it is killed.
    """
    return ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("spawn"), initializer=_end_together)


def _end_together() -> None:
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
