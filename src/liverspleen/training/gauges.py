"""Learning rate, time and memory of a running training."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch

from liverspleen.training.throughput import peak_memory_bytes


class Gauges(pl.Callback):
    """Measures a training, for `metrics.csv` and for the progress on the screen.

    `before` is the time of the finished steps of a resumed training, in seconds.

    Attributes:
        learning_rate: rate of the current step; None before the first step.
    """

    def __init__(self, before: float = 0.0) -> None:
        self.learning_rate: float | None = None
        self._device = torch.device("cpu")
        self._before = before
        self._start: float | None = None

    @property
    def seconds(self) -> float:
        """Time of the training so far, validation included, and that of the finished steps before it was resumed."""
        return self._before + (0.0 if self._start is None else time.monotonic() - self._start)

    @property
    def peak_memory_mb(self) -> float | None:
        """Peak memory of this process in MB: allocated on its GPU, or resident on a CPU; None if it is unknown."""
        peak = peak_memory_bytes(self._device)
        return None if peak is None else peak / 1e6

    def row(self) -> tuple[str, str, str]:
        """Return learning rate, seconds and memory as fields of `metrics.csv`; an unknown value is empty."""
        rate, memory = self.learning_rate, self.peak_memory_mb
        return "" if rate is None else repr(rate), f"{self.seconds:.2f}", "" if memory is None else f"{memory:.1f}"

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the clock."""
        self._device, self._start = trainer.strategy.root_device, time.monotonic()

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, index: int) -> None:
        """Read the learning rate, before the schedule changes it for the next step."""
        self.learning_rate = float(trainer.optimizers[0].param_groups[0]["lr"])
