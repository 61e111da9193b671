"""Learning rate, time and memory of a running training."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch

from liverspleen.training.resumption import SECONDS_KEY, recorded_seconds
from liverspleen.training.throughput import peak_memory_bytes


class Gauges(pl.Callback):
    """Measures a training, for `metrics.csv` and for the progress on the screen.

    Attributes:
        learning_rate: rate of the current step; None before the first step.
    """

    def __init__(self) -> None:
        self.learning_rate: float | None = None
        self._device = torch.device("cpu")
        self._before = 0.0
        self._start: float | None = None

    @property
    def seconds(self) -> float:
        """Time of the training so far, validation included; a resumed training continues from its checkpoint."""
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

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the time so far."""
        checkpoint[SECONDS_KEY] = self.seconds

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue from the time in the checkpoint."""
        self._before = recorded_seconds(checkpoint)
