"""Stop of a training with NaN or inf in loss or gradient, with the slices of that step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from liverspleen.errors import InputError, Issue
from liverspleen.training.module import SegmentationModule, StepPart
from liverspleen.training.ranks import Highest, gathered

_LISTED = 8  # largest number of slices in the message


class NotFiniteError(InputError):
    """Loss or gradient is NaN or inf; all ranks raise it at the same step."""


class _Check(NamedTuple):
    bad: Highest
    step: int
    parts: list[StepPart]


class FiniteGuard(pl.Callback):
    """Checks loss and gradient of every step before the optimizer step.

    On a GPU the result is read one step later, so that the host does not wait for the GPU. `check_pending` reads it
    earlier, before each save.
    """

    def __init__(self) -> None:
        self._pending: _Check | None = None

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer) -> None:
        """Check this step.

        Raises:
            NotFiniteError: LS-TRN-006 with cases and slices.
        """
        assert isinstance(module, SegmentationModule)
        self.check_pending(trainer)
        parts, module.parts = module.parts, []
        total = torch.stack([part.loss for part in parts]).sum()
        if getattr(trainer.precision_plugin, "scaler", None) is None:  # a loss scaler handles inf itself
            total = total + get_total_norm([p.grad for p in module.network.parameters() if p.grad is not None])
        bad = Highest((~torch.isfinite(total)).long().view(1))
        self._pending = _Check(bad, trainer.global_step, parts)
        if not total.is_cuda:
            self.check_pending(trainer)

    def check_pending(self, trainer: pl.Trainer) -> None:
        """Read the result of the last check.

        Raises:
            NotFiniteError: LS-TRN-006 with cases and slices.
        """
        if (check := self._pending) is None:
            return
        self._pending = None
        if any(check.bad.values()):
            ids = [case.case_id for case in trainer.datamodule.training.cases]  # type: ignore[attr-defined]
            here = [
                f"{ids[case]!r} slice {slice_index}"
                for part in check.parts
                for case, slice_index in zip(part.case.tolist(), part.slice_index.tolist(), strict=True)
            ]
            raise NotFiniteError(_issue(check.step + 1, sorted({one for rank in gathered(here) for one in rank})))


def _issue(step: int, slices: Sequence[str]) -> Issue:
    listed = ", ".join(slices[:_LISTED]) + (f" and {len(slices) - _LISTED} more" if len(slices) > _LISTED else "")
    message = f"loss or gradient of step {step} is NaN or inf, at {listed}"
    return Issue("LS-TRN-006", message, "check these slices, or lower optimizer.lr; the last checkpoint is usable")
