"""Prediction of the slices of a CT in batches: classes are computed on the device, only labels are downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverspleen.data.slices import highest_classes
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.metrics.overlap import Overlap, overlaps
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference.ensemble import Model
from liverspleen.inference.member_scores import MemberScores
from liverspleen.inference.transfers import Downloaded, Downloads
from liverspleen.organs import ORGANS, Structure
from liverspleen.processes import has_bf16_instructions

PRECISIONS = ("auto", "fp32", "bf16")

Stored = Literal["uint8", "float32"]
"""Type of the numbers of probability maps; uint8 stores 255 for 1."""

_UNIT: Final = 2.0**32  # probabilities are added as whole numbers of 1 / 2^32

_BATCH = {"cpu": 1, "cuda": 8}  # a CPU is as fast with one slice as with more, in less memory


@dataclass(frozen=True, eq=False)
class Streamed:
    """Results of all slices.

    `labels` are uint8 (slice, row, column). `flips` is the overlap of both orders of the slices, with flips; `members`
    the agreement of several members (`MemberScores.agreement`). `probabilities`, if they were asked for, are (organ,
    slice, row, column) of the organs that the model was taught: float32, or uint8 with 255 for 1; `soft_voxels` are
    their sums, of the values before they are rounded to uint8.
    """

    labels: NDArray[np.uint8]
    flips: dict[Structure, Overlap] | None
    members: dict[Structure, float | None] | None
    probabilities: NDArray[Any] | None
    soft_voxels: dict[Structure, float] | None


def stream(
    ct: CTVolume,
    model: Model,
    *,
    batch_size: int | None,
    precision: str,
    flips: bool,
    probabilities: Stored | None = None,
) -> Streamed:
    """Return the labels of a CT on its own grid; `precision` is a result of `chosen_precision`.

    Raises:
        InputError: LS-PRD-010 batch size not valid, LS-PRD-012 the network output is NaN or inf.
    """
    if batch_size is not None and batch_size < 1:
        message = f"batch_size={batch_size} is not valid, expected 1 or more"
        raise InputError(Issue("LS-PRD-010", message, "use batch_size=1 or more"))
    count = ct.hu.shape[0]
    size = min(batch_size or _BATCH.get(model.device.type, 8), count)
    autocast = torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16")  # weights are cast once
    with torch.inference_mode(), autocast:
        members = MemberScores(ct, model.members, batch_size=size, flips=flips)
        found = _Labels(ct, model.device, count_flips=members.flips)
        maps = None if probabilities is None else _Probabilities(ct, model, probabilities)
        for start in range(0, count, size):
            scores = members.scores(start, min(start + size, count))
            found.send(start, scores)
            if maps is not None:
                maps.send(start, members.softmax(scores[0]))
        found.finish()
        if maps is not None:
            maps.finish()
        if not members.highest.isfinite():
            message = f"the network output is NaN or inf ({precision}, {model.engine})"
            raise InputError(Issue("LS-PRD-012", message, "check the model's weights, or use precision=fp32"))
    return Streamed(
        found.labels,
        found.overlaps if members.flips else None,
        members.agreement(),
        None if maps is None else maps.values,
        None if maps is None else maps.soft_voxels(),
    )


class _Labels:
    """The labels of a CT, filled batch by batch, and the overlap of both orders of the slices."""

    def __init__(self, ct: CTVolume, device: torch.device, *, count_flips: bool) -> None:
        self.labels = np.empty(ct.hu.shape, np.uint8)
        self.overlaps = dict.fromkeys(ORGANS, Overlap(0, 0, 0))
        self._count_flips = count_flips
        self._downloads = Downloads(device)

    def send(self, start: int, scores: Sequence[Tensor]) -> None:
        """Start the download of the labels of slices, and store those that have arrived."""
        self._downloads.send(start, torch.stack([highest_classes(part) for part in scores]))
        self._store(self._downloads.arrived())

    def finish(self) -> None:
        """Store the labels of all slices."""
        self._store(self._downloads.arrived(wait_for_all=True))

    def _store(self, arrived: Iterable[Downloaded]) -> None:
        for start, kinds in arrived:
            self.labels[start : start + kinds.shape[1]] = kinds[0]
            if self._count_flips:
                for organ, overlap in overlaps(kinds[2], kinds[1]).items():
                    self.overlaps[organ] += overlap


class _Probabilities:
    """The probabilities of the organs that a model was taught, filled batch by batch."""

    def __init__(self, ct: CTVolume, model: Model, stored: Stored) -> None:
        self._taught = model.taught
        self.values = np.empty((len(self._taught), *ct.hu.shape), stored)
        self._sums = torch.zeros((len(self._taught), ct.hu.shape[0]), dtype=torch.int64, device=model.device)
        self._downloads = Downloads(model.device)

    def send(self, start: int, softmax: Tensor) -> None:
        """Start the download of the probabilities of slices, and store those that have arrived."""
        organs = torch.stack([softmax[:, int(organ)] for organ in self._taught])
        # a sum of whole numbers does not depend on the order, so not on the device and the number of threads
        sums = organs.double().mul_(_UNIT).round_().long().sum((-2, -1))
        self._sums[:, start : start + sums.shape[1]] = sums
        self._downloads.send(start, organs.mul_(255).round_().byte() if self.values.dtype == np.uint8 else organs)
        self._store(self._downloads.arrived())

    def finish(self) -> None:
        """Store the probabilities of all slices."""
        self._store(self._downloads.arrived(wait_for_all=True))

    def _store(self, arrived: Iterable[Downloaded]) -> None:
        for start, organs in arrived:
            self.values[:, start : start + organs.shape[1]] = organs

    def soft_voxels(self) -> dict[Structure, float]:
        """Return the sum of the probabilities of each organ."""
        return {organ: sum(row) / _UNIT for organ, row in zip(self._taught, self._sums.tolist(), strict=True)}


def chosen_precision(asked: str, model: Model) -> str:
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
