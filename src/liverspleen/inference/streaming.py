"""Prediction of the slices of a CT in batches: classes are computed on the device, only labels are downloaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverspleen.data.slices import native_classes
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.metrics.overlap import Overlap, overlaps
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference.model import TrainedModel
from liverspleen.inference.ring import SliceRing
from liverspleen.inference.transfers import Downloaded, Downloads
from liverspleen.organs import ORGANS, Structure
from liverspleen.processes import has_bf16_instructions

PRECISIONS = ("auto", "fp32", "bf16")

_BATCH = {"cpu": 1, "cuda": 8}  # a CPU is as fast with one slice as with more, in less memory


@dataclass(frozen=True, eq=False)
class Streamed:
    """Labels of all slices, uint8 (slice, row, column), and with flips the overlap of both orders of the slices."""

    labels: NDArray[np.uint8]
    flips: dict[Structure, Overlap] | None


def stream(ct: CTVolume, model: TrainedModel, *, batch_size: int | None, precision: str, flips: bool) -> Streamed:
    """Return the labels of a CT on its own grid; `precision` is a result of `chosen_precision`.

    Raises:
        InputError: LS-PRD-010 batch size not valid, LS-PRD-012 the network output is NaN or inf.
    """
    if batch_size is not None and batch_size < 1:
        message = f"batch_size={batch_size} is not valid, expected 1 or more"
        raise InputError(Issue("LS-PRD-010", message, "use batch_size=1 or more"))
    count, *native = ct.hu.shape
    size = min(batch_size or _BATCH.get(model.device.type, 8), count)
    found = _Labels(ct, count_flips=flips and model.slices > 1)
    autocast = torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16")  # weights are cast once
    with torch.inference_mode(), autocast:
        ring, downloads = SliceRing(ct, model, batch_size=size), Downloads(model.device)
        highest = torch.zeros((), device=model.device)
        for start in range(0, count, size):
            logits = _logits(model, ring.stacks(start, min(start + size, count)), flips=found.count_flips)
            highest = torch.maximum(highest, logits[0].amax().float())  # keeps NaN, also of the parts of the mean
            downloads.send(start, torch.stack([native_classes(part, ring.matrix, native) for part in logits]))
            found.store(*downloads.arrived())
        found.store(*downloads.arrived(wait_for_all=True))
        if not highest.isfinite():
            message = f"the network output is NaN or inf ({precision}, {model.engine})"
            raise InputError(Issue("LS-PRD-012", message, "check the model's weights, or use precision=fp32"))
    return Streamed(found.labels, found.overlaps if found.count_flips else None)


def _logits(model: TrainedModel, stacks: Tensor, *, flips: bool) -> list[Tensor]:
    """Return logits (B, 3, H, W); with flips the mean of both orders of the slices first, then those of each order.

    The mean of the softmax is returned as its logarithm: where both orders agree, it is interpolated as logits are.
    Left and right are not flipped: the network has learnt on which side the liver is.
    """
    plain = model.network(stacks)
    if not flips:
        return [plain]
    reversed_ = model.network(stacks.flip(1))
    both = torch.logaddexp(plain.float().log_softmax(1), reversed_.float().log_softmax(1))
    return [both, plain, reversed_]


class _Labels:
    """The labels of a CT, filled batch by batch, and the overlap of both orders of the slices."""

    def __init__(self, ct: CTVolume, *, count_flips: bool) -> None:
        self.labels = np.empty(ct.hu.shape, np.uint8)
        self.count_flips = count_flips
        self.overlaps = dict.fromkeys(ORGANS, Overlap(0, 0, 0))

    def store(self, *arrived: Downloaded) -> None:
        """Store the labels of downloaded slices."""
        for start, kinds in arrived:
            self.labels[start : start + kinds.shape[1]] = kinds[0]
            if self.count_flips:
                for organ, overlap in overlaps(kinds[2], kinds[1]).items():
                    self.overlaps[organ] += overlap


def chosen_precision(asked: str, model: TrainedModel) -> str:
    """Return `fp32` or `bf16` for one of `PRECISIONS`.

    Raises:
        InputError: LS-PRD-010 unknown precision, LS-PRD-011 bf16 without hardware support or with another engine than
            torch.
    """
    if asked not in PRECISIONS:
        message = f"precision={asked} is unknown, expected one of {', '.join(PRECISIONS)}"
        raise InputError(Issue("LS-PRD-010", message, "use precision=auto"))
    if asked == "fp32" or model.engine != "torch":
        if asked == "bf16":
            message = f"precision=bf16 is not supported by engine={model.engine}, which computes in fp32"
            raise InputError(Issue("LS-PRD-011", message, "use precision=auto, or engine=torch"))
        return "fp32"
    cuda = model.device.type == "cuda"
    supported = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else has_bf16_instructions()
    if asked == "bf16" and not supported:
        message = f"precision=bf16 is not supported by this {model.device.type} device"
        raise InputError(Issue("LS-PRD-011", message, "use precision=auto or precision=fp32"))
    return "bf16" if supported and (cuda or asked == "bf16") else "fp32"
