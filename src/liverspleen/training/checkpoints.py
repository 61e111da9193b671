"""When a training is saved: `last.ckpt` between two steps, `best.ckpt` after its validation."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from liverspleen.processes import signals
from liverspleen.training.interruption import Stopped, StopRequest
from liverspleen.training.ranks import Highest
from liverspleen.training.recipe import RECIPE_KEY, Recipe
from liverspleen.training.resumption import BEST, LAST

_SAVE_S = 600.0  # so much is lost at most when the machine fails
_REQUEUE = signals("SIGUSR1")  # what SLURM sends before the time limit


class Checkpoints(pl.Callback):
    """Saves `last.ckpt` and `best.ckpt`, stops when asked to, ends a training that gets no better.

    `last.ckpt`: every so many steps, every ten minutes, when asked to stop, and at the end. `best.ckpt`: when mean
    per-case DSS has risen; equal DSS keeps the earlier one, and without a validation side there is none.
    A training that goes on begins at the step of its checkpoint; nothing but the step decides what comes next.

    Args:
        folder: for both.
        every: steps.
        start: steps already done.
        patience: validations without a better DSS after which the training ends; None: never.
        settle: called before anything is saved; raises when there is nothing good to save.
        recipe: what a resumed training is compared with.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every: int,
        start: int,
        patience: int | None,
        settle: Callable[[pl.Trainer], None],
        recipe: Recipe,
    ) -> None:
        self.folder, self.every, self.start = folder, every, start
        self.patience, self.settle, self.recipe = patience, settle, recipe
        self.best_dss, self.stale = -1.0, 0
        self.request = StopRequest()
        self._saved, self._clock = start, time.monotonic()
        self._said: Highest | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Lightning counts from `start` on; validations and rows of metrics fall on the steps they would fall on."""
        loop, batches = trainer.fit_loop.epoch_loop, self.start * trainer.accumulate_grad_batches
        steps = loop.automatic_optimization.optim_progress.optimizer.step.total
        loop.batch_progress.total.reset()
        loop.batch_progress.total.increment_by(batches)
        steps.ready = steps.completed = loop._batches_that_stepped = self.start
        self.request.listen()

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, index: int) -> None:
        """Between two steps, when rows and validation of the last one are written.

        Raises:
            Stopped: after saving, when a signal asked for it; of several ranks on all at the same step, the next one.
        """
        if index % trainer.accumulate_grad_batches:
            return
        late = trainer.is_global_zero and time.monotonic() - self._clock > _SAVE_S
        signal, late = self._agreed(trainer, self.request.signal, late)
        due = late or signal or (trainer.global_step % self.every == 0)
        if due and trainer.global_step > self._saved:
            self._save(trainer, LAST)
        if signal:
            if signal in _REQUEUE and (requeue := self.request.handler(signal)):
                self._requeue(trainer, requeue, signal)
            raise Stopped

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keep the best; end when it has been the best for long."""
        dss = float(trainer.callback_metrics["val/dss"])
        self.stale = 0 if dss > self.best_dss else self.stale + 1
        if not self.stale:
            self.best_dss = dss
            self._save(trainer, BEST)
        if self.patience is not None and self.stale >= self.patience:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """The last step, also that of an early end."""
        if trainer.global_step > self._saved:
            self._save(trainer, LAST)

    def _agreed(self, trainer: pl.Trainer, signal: int, late: bool) -> tuple[int, bool]:
        """What any rank says, on every rank; of several what they said a step ago, so that none waits for its GPU."""
        if trainer.world_size == 1:
            return signal, late
        before, now = self._said, torch.tensor([signal, late])
        self._said = Highest(now.to(trainer.strategy.root_device, non_blocking=True))
        number, any_late = before.values() if before else (0, 0)
        return number, bool(any_late)

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        self.settle(trainer)
        trainer.save_checkpoint(self.folder / name)  # by all ranks; the first one writes
        if name == LAST:
            self._saved, self._clock = trainer.global_step, time.monotonic()
            self._said = None  # who was late is no longer

    def _requeue(self, trainer: pl.Trainer, requeue: Callable[[int, None], Any], signal: int) -> None:
        """Let Lightning put the SLURM job back into the queue; what it saves beside that is in `last.ckpt` already."""
        requeue(signal, None)
        if trainer.is_global_zero:
            for copy in self.folder.glob("hpc_ckpt_*.ckpt"):
                copy.unlink()

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """The recipe, the best DSS so far and how long ago that was."""
        checkpoint[RECIPE_KEY] = self.recipe.plain()
        checkpoint["best_dss"], checkpoint["stale"] = self.best_dss, self.stale

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """A continued training keeps its best checkpoint."""
        self.best_dss, self.stale = checkpoint["best_dss"], checkpoint["stale"]
