"""SIGTERM, SIGUSR1 and Ctrl-C: the training stops between two steps, and a checkpoint is saved."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from liverspleen.processes import signals

_SIGNALS = signals("SIGTERM", "SIGINT", "SIGUSR1")
_ECHO_S = 2.0  # SLURM sends SIGTERM twice, 10 ms apart, to each process of a job that it preempts
_log = logging.getLogger(__name__)


class Stopped(Exception):  # noqa: N818 - not an error
    """The training was stopped by a signal, and its last step is saved."""


class StopRequest:
    """Stores a signal until the step ends; the same signal two seconds later or more stops at once.

    A training can be resumed exactly only from a state between two steps.
    """

    def __init__(self) -> None:
        self.signal = 0
        """number of the signal; 0 for none"""
        self._asked = 0.0
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Install the signal handlers; Lightning restores the previous ones at the end of the training."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in _SIGNALS}

    def handler(self, number: int) -> Callable[[int, FrameType | None], Any] | None:
        """Return the previous handler; for SIGUSR1 on SLURM it is Lightning's, which requeues the job."""
        before = self._before.get(number)
        return before if callable(before) else None

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == self.signal:
            if time.monotonic() - self._asked < _ECHO_S:
                return
            raise KeyboardInterrupt
        self.signal, self._asked = number, time.monotonic()
        _log.warning("%s: stopping after this step; send it again to stop at once", signal.Signals(number).name)


@contextmanager
def sigterm_restored() -> Iterator[None]:
    """Restore the handler of SIGTERM at the end of the block; `fit` ignores the signal until then."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        on_sigterm(before)


def on_sigterm(handler: Any) -> None:
    """Set the handler of SIGTERM, which only the main thread may do."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
