"""SIGTERM, SIGHUP, SIGUSR1 and Ctrl-C: the training stops between two steps, and a checkpoint is saved."""

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

_SIGNALS = signals("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP")  # a closed terminal sends SIGHUP
_FROM_PROGRAMS = signals("SIGTERM", "SIGUSR1", "SIGHUP")
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

    def delay(self) -> None:
        """Block the signals until `listen`, and let Lightning install its handler of SIGUSR1, for SLURM, until then."""
        if _handles_signals():
            _mask(signal.SIG_BLOCK)
            finish_undisturbed()
            for number in signals("SIGUSR1"):
                signal.signal(number, signal.SIG_DFL)

    def listen(self) -> None:
        """Install the signal handlers; Lightning restores the previous ones at the end of the training."""
        if _handles_signals():
            self._before = {number: signal.signal(number, self._receive) for number in _heard(_SIGNALS)}
            _mask(signal.SIG_UNBLOCK)

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
def interruptible() -> Iterator[None]:
    """In the block the signals of other programs raise KeyboardInterrupt, as Ctrl-C does; handlers are restored."""
    if not _handles_signals():
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in _heard(_FROM_PROGRAMS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def finish_undisturbed() -> None:
    """Ignore further signals of other programs, which repeat them before run.json is written; Ctrl-C still ends."""
    if _handles_signals():
        for number in _heard(_FROM_PROGRAMS):
            signal.signal(number, _ignore)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by Lightning, after the first Ctrl-C
            signal.signal(signal.SIGINT, signal.default_int_handler)


def unblock() -> None:
    """Receive the signals again that `StopRequest.delay` blocked, also if the training has not started."""
    if _handles_signals():
        _mask(signal.SIG_UNBLOCK)


def interrupt_at_once() -> None:
    """Let the signals of other programs raise KeyboardInterrupt, as in `interruptible`, not call Lightning's handlers.

    Lightning restores the previous handlers at the end of its training.
    """
    if _handles_signals():
        for number in _heard(_FROM_PROGRAMS):
            signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    finish_undisturbed()
    raise KeyboardInterrupt


def _ignore(*_: object) -> None:
    """Do nothing; unlike SIG_IGN it is not inherited by other programs."""


def _heard(numbers: tuple[signal.Signals, ...]) -> Iterator[signal.Signals]:
    """Yield the signals to handle: not SIGHUP under `nohup`."""
    for number in numbers:
        if number.name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN:
            yield number


def _handles_signals() -> bool:
    """Return whether this is the main thread; others cannot install handlers."""
    return threading.current_thread() is threading.main_thread()


def _mask(how: int) -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(how, _SIGNALS)
