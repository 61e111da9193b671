"""A second logger whose errors and delays do not affect the training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from liverspleen.errors import Issue

_WAIT_S = 20.0  # at the end, for pending calls
_MAX_PENDING = 10_000  # calls kept for a logger that does not respond

WANDB_PRIVACY: Final[Mapping[str, Any]] = {
    "x_disable_meta": True,  # command line, host, user, folders
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "console": "off",
    "host": "not recorded",
}
"""Settings of W&B: an external service receives the metrics and the recipe only."""


class SideLogger(Logger):
    """Runs another logger in a separate thread; an error or a delay there gives only a warning.

    Args:
        name: name of the service, for the warnings.
        make: creates the logger; it is called in the thread, so it may fail or hang too.
        issues: list to which warnings are added, at most one of each kind.
    """

    def __init__(self, name: str, make: Callable[[], Logger], issues: list[Issue]) -> None:
        super().__init__()
        self._name, self._make, self._issues = name, make, issues
        self._calls: queue.Queue[tuple[dict[str, float], int | None] | str] = queue.Queue(_MAX_PENDING)
        self._thread: threading.Thread | None = None

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
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name=self._name)
            self._thread.start()
        try:
            self._calls.put_nowait((dict(metrics), step))
        except queue.Full:
            self._warn("is too slow, so later rows are missing there")

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

    def _work(self) -> None:
        try:
            logger = self._make()
            while not isinstance(call := self._calls.get(), str):
                logger.log_metrics(*call)
            logger.finalize(call)
            if callable(finish := getattr(getattr(logger, "experiment", None), "finish", None)):
                finish()
        except Exception as error:  # noqa: BLE001 - the training continues after any error
            self._warn(f"failed ({type(error).__name__}: {error})")

    def _warn(self, message: str) -> None:
        issue = Issue(
            "LS-TRN-010", f"{self._name} {message}", "read metrics.csv, which is complete", severity="warning"
        )
        if issue not in self._issues:
            self._issues.append(issue)
