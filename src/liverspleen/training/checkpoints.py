"""Saving of checkpoints: `last.ckpt` between two steps, `best.ckpt` after a validation."""

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
from liverspleen.training.resumption import BEST, LAST, MINUTES_KEY, THREADS_KEY

_SAVE_S = 600.0  # most training time that is lost if the machine fails
_REQUEUE = signals("SIGUSR1")  # sent by SLURM before the time limit


class Checkpoints(pl.Callback):
    """Saves `last.ckpt` and `best.ckpt`, and stops the training on a signal or if validation does not improve.

    `last.ckpt` is saved every `every` steps, every ten minutes, after a stop signal, and at the end. `best.ckpt` is
    saved when the mean DSS per case has risen; an equal DSS keeps the earlier one. Without a validation side there is
    no `best.ckpt`. A resumed training starts at the step of its checkpoint, and all later steps depend only on the step
    number. A new plan of the number of steps is saved before the first step.

    Args:
        folder: folder of both files.
        every: number of steps between two saves.
        start: number of steps that are already done.
        patience: validations without a better DSS after which the training ends; None: no limit.
        check_finite: called before each save by all ranks; raises if what would be saved is not finite.
        recipe: recipe that a resumed training is compared with.
        minutes: time for which the number of steps was planned; None if the number was given.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every: int,
        start: int,
        patience: int | None,
        check_finite: Callable[[pl.Trainer], None],
        recipe: Recipe,
        minutes: float | None = None,
    ) -> None:
        self.folder, self.every, self.start = folder, every, start
        self.patience, self.check_finite, self.recipe = patience, check_finite, recipe
        self.minutes, self._unsaved_plan = minutes, minutes is not None
        self.best_dss, self.stale = -1.0, 0
        self.request = StopRequest()
        self._saved, self._clock = start, time.monotonic()
        self._pending: Highest | None = None

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Delay signals until the first step; until then each of them ends the training at once."""
        self.request.delay()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Set Lightning's counters to `start`, so that validations and metrics have the steps of a single run."""
        loop, batches = trainer.fit_loop.epoch_loop, self.start * trainer.accumulate_grad_batches
        steps = loop.automatic_optimization.optim_progress.optimizer.step.total
        loop.batch_progress.total.reset()
        loop.batch_progress.total.increment_by(batches)
        steps.ready = steps.completed = loop._batches_that_stepped = self.start
        self.request.listen()

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, index: int) -> None:
        """Save between two steps, when metrics and validation of the last step are written.

        Raises:
            Stopped: a signal was received, and the checkpoint is saved; all ranks stop after the same step.
        """
        if index % trainer.accumulate_grad_batches:
            return
        late = trainer.is_global_zero and time.monotonic() - self._clock > _SAVE_S
        signal, late = self._agreed(trainer, self.request.signal, late)
        due = late or signal or (trainer.global_step % self.every == 0)
        unsaved = self._unsaved_plan or (signal and not trainer.global_step)
        if (due and trainer.global_step > self._saved) or unsaved:
            self._save(trainer, LAST)
        if signal:
            if signal in _REQUEUE and (requeue := self.request.handler(signal)):
                self._requeue(trainer, requeue, signal)
            raise Stopped

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save `best.ckpt` if DSS has risen; end the training if it has not risen for `patience` validations."""
        dss = float(trainer.callback_metrics["val/dss"])
        self.stale = 0 if dss > self.best_dss else self.stale + 1
        if not self.stale:
            self.best_dss = dss
            self._save(trainer, BEST)
        if self.patience is not None and self.stale >= self.patience:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save the last step, also after an early end."""
        if trainer.global_step > self._saved:
            self._save(trainer, LAST)

    def _agreed(self, trainer: pl.Trainer, signal: int, late: bool) -> tuple[int, bool]:
        """Return signal and lateness of any rank; those of several ranks are from the last step, so none waits."""
        if trainer.world_size == 1:
            return signal, late
        before, now = self._pending, torch.tensor([signal, late])
        self._pending = Highest(now.to(trainer.strategy.root_device, non_blocking=True))
        number, any_late = before.values() if before else (0, 0)
        return number, bool(any_late)

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        self.check_finite(trainer)
        trainer.save_checkpoint(self.folder / name)  # by all ranks; the first one writes
        if name == LAST:
            self._saved, self._clock, self._unsaved_plan = trainer.global_step, time.monotonic(), False
            self._pending = None  # the pending request to save is done

    def _requeue(self, trainer: pl.Trainer, requeue: Callable[[int, None], Any], signal: int) -> None:
        """Let Lightning requeue the SLURM job; remove the checkpoint that it saves, which equals `last.ckpt`."""
        requeue(signal, None)
        if trainer.is_global_zero:
            for copy in self.folder.glob("hpc_ckpt_*.ckpt"):
                copy.unlink()

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the recipe, the threads, the planned time, the best DSS and the number of validations since then."""
        checkpoint[RECIPE_KEY], checkpoint[THREADS_KEY] = self.recipe.plain(), torch.get_num_threads()
        checkpoint["best_dss"], checkpoint["stale"] = self.best_dss, self.stale
        if self.minutes is not None:
            checkpoint[MINUTES_KEY] = self.minutes

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the best DSS, so that a resumed training keeps its best checkpoint; see if the plan is recorded."""
        self.best_dss, self.stale = checkpoint["best_dss"], checkpoint["stale"]
        self._unsaved_plan = self.minutes not in (None, checkpoint.get(MINUTES_KEY))
