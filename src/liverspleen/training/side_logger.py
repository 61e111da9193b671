"""A further logger whose errors and delays do not affect the training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from liverspleen.credentials import may_have_password
from liverspleen.errors import Issue

_WAIT_S = 20.0  # at the end, for pending calls
_MAX_PENDING = 10_000  # calls kept for a logger that does not respond
_LONGEST: Final = 250  # characters of an error
_MAX_IMAGES: Final = 16  # of them with an image, which needs up to a megabyte of memory


class SideLogger(Logger):
    """Runs another logger in a separate thread; an error or a delay there gives only one warning.

    Args:
        name: name of the service, for the warning.
        make: creates the logger; it is called in the thread, so it may fail or hang too. It needs a method `log_image`
            if images are logged.
        issues: list to which the warning is added.
    """

    def __init__(self, name: str, make: Callable[[], Any], issues: list[Issue]) -> None:
        super().__init__()
        self._name, self._make, self._issues = name, make, issues
        self._calls: queue.Queue[Callable[[Any], None] | str] = queue.Queue(_MAX_PENDING)
        self._free_images = threading.Semaphore(_MAX_IMAGES)
        self._thread: threading.Thread | None = None
        self._warned = False

    @property
    def name(self) -> str:
        """Name of the service."""
        return self._name

    @property
    def version(self) -> str:
        """Version for Lightning, always 0."""
        return "0"

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing; the configuration is in `run.json`."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add the metrics to the queue without waiting."""
        row = dict(metrics)
        self._add(lambda logger: logger.log_metrics(row, step))

    @rank_zero_only
    def log_image(self, key: str, image: NDArray[np.uint8], step: int) -> None:
        """Add an RGB image (row, column, 3) to the queue without waiting; it is skipped if many images are pending."""
        if not self._free_images.acquire(blocking=False):
            return

        def log(logger: Any) -> None:
            logger.log_image(key, [image], step=step)
            self._free_images.release()

        self._add(log)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Wait at most 20 seconds for pending calls."""
        if self._thread is None or not self._thread.is_alive():
            return
        if not self._calls.full():
            self._calls.put_nowait(status)
        self._thread.join(_WAIT_S)
        if self._thread.is_alive():
            self._warn(f"did not finish within {_WAIT_S:.0f} s")

    def _add(self, call: Callable[[Any], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name=self._name)
            self._thread.start()
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            self._warn("failed or is too slow, so later rows are missing there")

    def _work(self) -> None:
        try:
            logger = self._make()
            while not isinstance(call := self._calls.get(), str):
                call(logger)
            logger.finalize(call)
            if callable(finish := getattr(getattr(logger, "experiment", None), "finish", None)):
                finish()
        except BaseException as error:  # noqa: BLE001 - the training continues after any error
            self._warn(f"failed ({_reason(error)})")

    def _warn(self, message: str) -> None:
        """Add a warning, only the first one: the others follow from it."""
        if not self._warned:
            self._warned = True
            hint = "read metrics.csv, which is complete"
            self._issues.append(Issue("LS-TRN-010", f"{self._name} {message}", hint, severity="warning"))


def _reason(error: BaseException) -> str:
    """Return type and text of an error in one line, or only the type if the text may contain a password."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return type(error).__name__ + (f": {text}" if text and not may_have_password(str(error)) else "")
