"""A training whose numbers are no numbers any more stops, and says at which slices."""

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

_NAMED = 8  # slices named in the line


class NotFiniteError(InputError):
    """Loss or gradient is not finite; every rank finds it at the same step."""


class _Verdict(NamedTuple):
    bad: Highest
    step: int
    parts: list[StepPart]


class FiniteGuard(pl.Callback):
    """Looks at loss and gradient of every step before the step is done.

    On a GPU the look is one step late, so that the GPU need not wait for it; `settle` catches up, and is called before
    anything is saved.
    """

    def __init__(self) -> None:
        self._verdict: _Verdict | None = None

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Optimizer) -> None:
        """Judge this step.

        Raises:
            NotFiniteError: LS-TRN-006 with cases and slices.
        """
        assert isinstance(module, SegmentationModule)
        self.settle(trainer)
        parts, module.parts = module.parts, []
        total = torch.stack([part.loss for part in parts]).sum()
        if getattr(trainer.precision_plugin, "scaler", None) is None:  # a loss scaler meets infinities on its way
            total = total + get_total_norm([p.grad for p in module.network.parameters() if p.grad is not None])
        bad = Highest((~torch.isfinite(total)).long().view(1))
        self._verdict = _Verdict(bad, trainer.global_step, parts)
        if not total.is_cuda:
            self.settle(trainer)

    def settle(self, trainer: pl.Trainer) -> None:
        """Take the verdict on the last step judged.

        Raises:
            NotFiniteError: LS-TRN-006 with cases and slices.
        """
        if (verdict := self._verdict) is None:
            return
        self._verdict = None
        if any(verdict.bad.values()):
            ids = [case.case_id for case in trainer.datamodule.training.cases]  # type: ignore[attr-defined]
            here = [
                f"{ids[case]!r} slice {slice_index}"
                for part in verdict.parts
                for case, slice_index in zip(part.case.tolist(), part.slice_index.tolist(), strict=True)
            ]
            raise NotFiniteError(_issue(verdict.step + 1, sorted({one for rank in gathered(here) for one in rank})))


def _issue(step: int, slices: Sequence[str]) -> Issue:
    named = ", ".join(slices[:_NAMED]) + (f" and {len(slices) - _NAMED} more" if len(slices) > _NAMED else "")
    message = f"loss or gradient of step {step} is not finite, at {named}"
    return Issue("LS-TRN-006", message, "look at these slices, or lower optimizer.lr; the last checkpoint is good")
