"""Train a network from the checkpoint of its folder to the last step, and write complete files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch

from liverspleen.errors import InputError, Issue, counted
from liverspleen.training.checkpoint_files import export_weights
from liverspleen.training.finite import NotFiniteError
from liverspleen.training.interruption import Stopped, finish_undisturbed, unblock
from liverspleen.training.resumption import BEST, LAST, Resumption
from liverspleen.training.tasks import is_first_process

if TYPE_CHECKING:
    from liverspleen.data.module import SliceDataModule
    from liverspleen.training.module import SegmentationModule

WEIGHTS = "model.safetensors"
FILES = (LAST, BEST, WEIGHTS, "metrics.csv", "curves.png", "validation.csv")
"""Files that a training writes into its folder."""

_NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""Texts of out-of-memory errors of the CPU allocator, the CUDA runtime, cuBLAS and cuDNN without a specific type."""


@dataclass(frozen=True)
class TrainingParts:
    """Trainer, module and data of a training."""

    trainer: pl.Trainer
    module: SegmentationModule
    data: SliceDataModule

    @property
    def batch(self) -> str:
        """Batch size and accumulation as options, for messages."""
        return f"trainer.batch_size={self.data.batch_size} trainer.accumulate={self.trainer.accumulate_grad_batches}"


def fit(
    folder: Path,
    done: Resumption,
    build: Callable[[], TrainingParts],
    *,
    steps: int,
    patience: int | None,
    seed: int,
    say: Callable[[str], None],
) -> float | None:
    """Train to `steps`, unless the checkpoint `done` has that many, and export the weights.

    All ranks call it; only the first one writes files and calls `say`. `build` is called after the seed is set, and
    only if there are steps to train. Returns the median time per slice in validation in seconds; None without a
    validation.

    Raises:
        KeyboardInterrupt: the training was stopped by a signal; its last step is saved.
        InputError: LS-TRN-009 memory ran out; LS-TRN-006 the loss or the weights became NaN or infinite;
            LS-TRN-023 and LS-TRN-024 the loader processes are stuck or failed.
    """
    ended_early = patience is not None and done.stale >= patience
    seconds: list[float] = []
    if done.steps < steps and not ended_early:
        pl.seed_everything(seed, verbose=False)
        parts = build()
        if is_first_process():
            for unfinished in folder.glob(".part-*"):  # remains of killed processes
                unfinished.unlink()
        _fit(parts, done)
        seconds = parts.module.seconds_per_slice
    elif is_first_process():
        reason = f"no better DSS for {counted(done.stale, 'validation')}" if ended_early else f"all {steps} steps"
        say(f"{done.checkpoint} has ended with {reason}; nothing to do")
    if is_first_process():
        export_weights(folder / (BEST if (folder / BEST).exists() else LAST), folder / WEIGHTS)
    return median(seconds) if seconds else None


def _fit(parts: TrainingParts, done: Resumption) -> None:
    """Fit; the first rank reports errors that all ranks have, the others exit without a message."""
    try:
        with reported(parts):
            parts.trainer.fit(parts.module, parts.data, ckpt_path=done.checkpoint, weights_only=True)
    except Stopped as stop:
        if not is_first_process():
            raise SystemExit(0) from stop
        raise KeyboardInterrupt(f"step {parts.trainer.global_step} is saved") from stop
    finally:
        finish_undisturbed()
        unblock()


@contextmanager
def reported(parts: TrainingParts) -> Iterator[None]:
    """Report errors of the block that all ranks have in the first rank; the others exit without a message.

    Raises:
        KeyboardInterrupt, InputError: as `fit`.
    """
    try:
        yield
    except NotFiniteError as error:
        if not is_first_process():
            raise SystemExit(0) from error
        raise
    except SystemExit as stop:  # Lightning exits on a second Ctrl-C
        raise KeyboardInterrupt from stop
    except (MemoryError, RuntimeError, OSError, EOFError) as error:
        if (issue := parts.data.failure(error)) is not None:
            raise InputError(issue) from error
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not (known or any(text in str(error) for text in _NO_MEMORY)):
            raise
        message = f"out of memory at step {parts.trainer.global_step + 1} with {parts.batch}"
        hint = "halve trainer.batch_size and double trainer.accumulate, or choose a smaller network"
        raise InputError(Issue("LS-TRN-009", message, hint)) from error
