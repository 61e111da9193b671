"""Checkpoints that are complete or absent: `last.ckpt` always, `best.ckpt` by validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from liverspleen.storage import complete_file

LAST, BEST = "last.ckpt", "best.ckpt"


class Checkpoints(pl.Callback):
    """Save `last.ckpt` every so many steps and at the last one; `best.ckpt` when mean per-case DSS has risen.

    Without a validation side only `last.ckpt` is kept.
    """

    def __init__(self, folder: Path, *, every: int) -> None:
        self.folder, self.every = folder, every
        self.best_dss = -1.0

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """After a step."""
        if trainer.global_step % self.every == 0 or trainer.global_step == trainer.max_steps:
            self._save(trainer, LAST)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """After a validation; equal DSS keeps the earlier checkpoint."""
        dss = float(trainer.callback_metrics["val/dss"])
        if dss > self.best_dss:
            self.best_dss = dss
            self._save(trainer, BEST)

    def _save(self, trainer: pl.Trainer, name: str) -> None:
        with complete_file(self.folder / name) as temporary:
            trainer.save_checkpoint(temporary)

    def state_dict(self) -> dict[str, Any]:
        """The best DSS so far, so that a continued training keeps its best checkpoint."""
        return {"best_dss": self.best_dss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the best DSS of an interrupted training."""
        self.best_dss = state["best_dss"]
