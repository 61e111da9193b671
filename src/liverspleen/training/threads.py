"""Number of threads of a training on the processor: it changes the order of sums, and so the last digits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from liverspleen.processes import cores

_VARIABLE: Final = "OMP_NUM_THREADS"


def default_threads(processes: int) -> int:
    """Return the threads of each of `processes` on this machine: `OMP_NUM_THREADS`, or its fraction of the cores."""
    with suppress(ValueError):  # it is not set, or no number
        if (stated := int(os.environ.get(_VARIABLE, "").partition(",")[0])) > 0:
            return stated
    return max(1, cores() // processes)


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch compute with `number` threads in the block.

    The variable is set too, because Lightning changes the number of threads of several ranks without it.
    """
    import torch

    before, stated = torch.get_num_threads(), os.environ.get(_VARIABLE)
    torch.set_num_threads(number)
    os.environ[_VARIABLE] = str(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        del os.environ[_VARIABLE]
        if stated is not None:
            os.environ[_VARIABLE] = stated
