"""Train a network from where its folder left off to the last step, and leave complete files behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch

from liverspleen.errors import InputError, Issue
from liverspleen.training.checkpoint_files import export_weights
from liverspleen.training.finite import NotFiniteError
from liverspleen.training.interruption import Stopped
from liverspleen.training.resumption import BEST, LAST, Resumption
from liverspleen.training.tasks import is_first_process

if TYPE_CHECKING:
    from liverspleen.data.module import SliceDataModule
    from liverspleen.training.module import SegmentationModule

WEIGHTS = "model.safetensors"
FILES = (LAST, BEST, WEIGHTS, "metrics.csv", "validation.csv")
"""What a training writes into its folder."""

_NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""Texts of the CPU's allocator, of the CUDA runtime, and of cuBLAS and cuDNN, in errors without a type of their own."""


@dataclass(frozen=True)
class TrainingParts:
    """What a training consists of."""

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
    """Train to `steps`, unless the checkpoint `done` is already there; export the weights.

    All ranks call it; only the first one writes, and speaks through `say`. `build` is called after the seed is set, and
    only if there is something to train. Returns the median of the seconds that a slice took in validation; None if
    nothing was validated.

    Raises:
        KeyboardInterrupt: the training was asked to stop; its last step is saved.
        InputError: LS-TRN-009 memory ran out; LS-TRN-006 the loss or the weights became NaN or infinite.
    """
    ended_early = patience is not None and done.stale >= patience
    seconds: list[float] = []
    if done.steps < steps and not ended_early:
        pl.seed_everything(seed, verbose=False)
        parts = build()
        if is_first_process():
            for unfinished in folder.glob(".part-*"):  # of a save that was killed
                unfinished.unlink()
            data = parts.data
            count = f"{len(data.training.cases)} cases, {len(data.training)} slices"
            say(f"{count}; validation: {len(data.validation.cases)} cases; steps {done.steps} to {steps}")
        _fit(parts, done)
        seconds = parts.module.seconds_per_slice
    elif is_first_process():
        why = f"no better DSS for {done.stale} validations" if ended_early else f"all {steps} steps"
        say(f"{done.checkpoint} ends with {why} already; nothing to do")
    if is_first_process():
        export_weights(folder / (BEST if (folder / BEST).exists() else LAST), folder / WEIGHTS)
    return median(seconds) if seconds else None


def _fit(parts: TrainingParts, done: Resumption) -> None:
    """Fit; the first rank reports what all ranks find alike, the others end in silence."""
    _on_sigterm(lambda *_: None)  # SLURM and the workers of a sweep send it again before run.json is written
    try:
        parts.trainer.fit(parts.module, parts.data, ckpt_path=done.checkpoint, weights_only=True)
    except Stopped as stop:
        if not is_first_process():
            raise SystemExit(0) from stop
        raise KeyboardInterrupt from stop
    except NotFiniteError as error:
        if not is_first_process():
            raise SystemExit(0) from error
        raise
    except SystemExit as stop:  # Lightning makes an exit of a second Ctrl-C, and is deaf to the next one
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from stop
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not (known or any(text in str(error) for text in _NO_MEMORY)):
            raise
        message = f"memory ran out at step {parts.trainer.global_step + 1} with {parts.batch}"
        hint = "halve trainer.batch_size and double trainer.accumulate, or choose a smaller network"
        raise InputError(Issue("LS-TRN-009", message, hint)) from error


@contextmanager
def sigterm_restored() -> Iterator[None]:
    """Restore the handler of SIGTERM at the end: `fit` ignores the signal for longer than Lightning would."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        _on_sigterm(before)


def _on_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
