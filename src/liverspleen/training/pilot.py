"""A short training before the training, which measures its times and is thrown away."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytorch_lightning as pl
import torch

from liverspleen.training.budget import Costs
from liverspleen.training.fit import TrainingParts, reported
from liverspleen.training.interruption import interrupt_at_once
from liverspleen.training.pace import WARMUP_S, WARMUP_STEPS
from liverspleen.training.ranks import gathered

_FRACTION, _SHORTEST_S, _LONGEST_S = 0.05, 2.0, 60.0
_GROWTH: Final = 1.25  # of the number of steps between two looks at the clock, for which a GPU must be waited for
_FILE: Final = ".part-plan.ckpt"  # remains of a killed process have the prefix that `fit` removes


def target_s(seconds: float) -> float:
    """Return the time of the measured steps of a training that may take `seconds`, and of a measured validation.

    >>> target_s(20), target_s(180), target_s(7200)
    (2.0, 9.0, 60.0)
    """
    return min(max(_FRACTION * seconds, _SHORTEST_S), _LONGEST_S)


class Pilot(pl.Callback):
    """Measures steps, a validation and a checkpoint in a training of its own, then ends it.

    The first two steps are the warm-up (compilation, memory, loaders), or only the first one if it takes 20 seconds.
    All ranks take part and have the same `costs`.

    Args:
        folder: a checkpoint is written there and removed.
        target_s: time of the measured steps; at least one step is measured.
        clock: returns the time in seconds.

    Attributes:
        costs: the measured times, after the training.
    """

    def __init__(self, folder: Path, *, target_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.file, self.target_s, self.clock = folder / _FILE, target_s, clock
        self.costs: Costs
        self._set_up = self._started = 0.0
        self._warm: float | None = None  # end of the warm-up
        self._warmup = self._steps = 0
        self._look = 1  # number of measured steps at which the clock is read
        self._step_s = 0.0

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Start the clock: imports and the start of further ranks are not repeated in the training."""
        self._set_up = self.clock()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the measurement; signals end it at once, because there is nothing to save."""
        interrupt_at_once()
        self._started = self.clock()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Count a step after its last batch, and end the training when enough steps are measured."""
        if (index + 1) % trainer.accumulate_grad_batches:
            return
        if self._warm is None:
            self._warmup += 1
            now = self._now(trainer)
            if self._agreed(self._warmup == WARMUP_STEPS or now - self._started >= WARMUP_S):
                self._warm = self._now(trainer)
            return
        self._steps += 1
        if self._steps < self._look:
            return
        self._look = math.ceil(self._steps * _GROWTH)
        self._step_s = (self._now(trainer) - self._warm) / self._steps
        trainer.should_stop = self._agreed(self._step_s * self._steps >= self.target_s)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Measure a validation and a checkpoint."""
        validation_s, before = self._validation_s(trainer, module), self._now(trainer)
        trainer.save_checkpoint(self.file)
        checkpoint_s = self._now(trainer) - before
        if trainer.is_global_zero:
            self.file.unlink()
        own = Costs(self._started - self._set_up, self._step_s, validation_s, checkpoint_s)
        self.costs = Costs.slowest(gathered(own))

    def _validation_s(self, trainer: pl.Trainer, module: pl.LightningModule) -> float:
        """Return the time of a validation of this rank: its first batches are measured, after one as the warm-up."""
        loader = trainer.datamodule.val_dataloader()  # type: ignore[attr-defined]
        if isinstance(loader, list):
            return 0.0
        module.eval()
        for _ in _validated(trainer, module, loader):
            break
        start, seconds = self.clock(), [0.0]
        for _ in _validated(trainer, module, loader):
            seconds.append(self._now(trainer) - start)
            if seconds[-1] >= self.target_s:
                break
        return whole_s(seconds[1:], len(loader))

    def _now(self, trainer: pl.Trainer) -> float:
        """Return the time at which the device has finished its work."""
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()  # the host runs ahead of the device
        return self.clock()

    @staticmethod
    def _agreed(answer: bool) -> bool:
        """Return the answer of the first rank."""
        return gathered(answer)[0]


def whole_s(ends_s: list[float], batches: int) -> float:
    """Return the time of a validation with `batches`, from the times at which its first ones ended, in seconds.

    The first time includes the start of the loader processes.

    >>> whole_s([3.0, 4.0, 5.0], 10), whole_s([3.0], 2)
    (12.0, 6.0)
    """
    if len(ends_s) == 1:
        return ends_s[0] * batches
    each = (ends_s[-1] - ends_s[0]) / (len(ends_s) - 1)
    return ends_s[0] + each * (batches - 1)


@torch.no_grad()
def _validated(trainer: pl.Trainer, module: pl.LightningModule, loader: Any) -> Iterator[None]:
    """Validate a batch before each element."""
    for index, batch in enumerate(loader):
        with trainer.precision_plugin.val_step_context():
            module.validation_step(trainer.strategy.batch_to_device(batch), index)
        yield


def run_pilot(build: Callable[[Pilot], TrainingParts], folder: Path, *, seconds: float, seed: int) -> Costs:
    """Return the times of a training that may take `seconds`.

    `build` makes it with the pilot among its callbacks; errors as of `fit`. Its parts are thrown away.
    """
    pilot = Pilot(folder, target_s=target_s(seconds))
    pl.seed_everything(seed, verbose=False)
    parts = build(pilot)
    with reported(parts):
        parts.trainer.fit(parts.module, parts.data)
    del parts
    gc.collect()  # ends the loader processes
    torch.cuda.empty_cache()
    return pilot.costs
