"""Stop of a training with NaN or inf: in loss or gradient, with the slices of that step, or in what is saved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from liverspleen.errors import InputError, Issue, counted
from liverspleen.training.module import SegmentationModule, StepPart
from liverspleen.training.ranks import Highest, gathered

_LISTED = 8  # largest number of slices in the message


class NotFiniteError(InputError):
    """Loss, gradient or state is NaN or inf; all ranks raise it at the same step."""


class _Check(NamedTuple):
    bad: Highest
    step: int
    parts: list[StepPart]


class FiniteGuard(pl.Callback):
    """Checks loss and gradient of every step before the optimizer step, and before each save what is saved.

    On a GPU the result of a step is read one step later, so that the host does not wait for the GPU.
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

    def check_state(self, trainer: pl.Trainer) -> None:
        """Check what a checkpoint holds: weights, statistics, average and optimizer; all ranks must call it.

        The step that made a weight infinite had a finite loss, and statistics have no influence on the loss.

        Raises:
            NotFiniteError: LS-TRN-006 with the first tensor, or as of the pending step.
        """
        self.check_pending(trainer)
        state = dict(_saved(trainer))
        bad = Highest((~torch.isfinite(get_total_norm(state.values(), math.inf))).long().view(1))
        if any(bad.values()):
            here = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
            raise NotFiniteError(_state_issue(trainer.global_step, [name for rank in gathered(here) for name in rank]))

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


def _saved(trainer: pl.Trainer) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of floating-point numbers in a checkpoint, with a name for messages."""
    module = trainer.lightning_module
    assert isinstance(module, SegmentationModule)
    states: dict[str, Any] = module.state_dict()
    if module.average is not None:
        states |= module.average.state_dict("average.")
    for optimizer in trainer.optimizers:
        for number, values in optimizer.state_dict()["state"].items():
            states |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    for name, value in states.items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.numel():
            yield name, value


def _issue(step: int, slices: Sequence[str]) -> Issue:
    listed = ", ".join(slices[:_LISTED]) + (f" and {len(slices) - _LISTED} more" if len(slices) > _LISTED else "")
    message = f"loss or gradient of step {step} is NaN or inf, at {listed}; earlier checkpoints are kept"
    return Issue("LS-TRN-006", message, "check these slices, or lower optimizer.lr and choose another output=")


def _state_issue(step: int, names: Sequence[str]) -> Issue:
    found = f"{counted(len(names), 'tensor')} with NaN or inf after step {step}, first {names[0]!r}"
    message = f"the network or its optimizer has {found}; it is not saved, and earlier checkpoints are kept"
    return Issue("LS-TRN-006", message, "lower optimizer.lr and choose another output=")
