"""Class scores of slices by the members of a model: logits of one network, or the mean softmax of several."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from liverspleen.data.slices import highest_classes, native_logits
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference.model import TrainedModel
from liverspleen.inference.ring import SliceRing
from liverspleen.organs import ORGANS, Structure


class MemberScores:
    """The scores of a CT, batch by batch, on its own matrix; every member sees a batch before the next one is read.

    Members with the same window, input slices and pixel size share their slices. `flips`: whether the order of the
    slices is also reversed, in members with several input slices. `highest` is the highest logit; it keeps NaN.
    """

    def __init__(self, ct: CTVolume, members: Sequence[TrainedModel], *, batch_size: int, flips: bool) -> None:
        device = members[0].device
        self.flips = flips and any(member.slices > 1 for member in members)
        self.highest = torch.zeros((), device=device)
        self._native = ct.hu.shape[1:]
        self._alone = len(members) == 1
        self._number = len(members)
        self._groups: dict[object, tuple[SliceRing, list[TrainedModel]]] = {}
        for member in sorted(members, key=lambda member: member.sha256):  # sums depend on the order
            shared = (member.window, member.slices, member.slice_distance_mm, member.pixel_mm, member.stride)
            if shared not in self._groups:
                self._groups[shared] = SliceRing(ct, member, batch_size=batch_size), []
            self._groups[shared][1].append(member)
        self._voxels = torch.zeros((len(ORGANS), 2), dtype=torch.int64, device=device)

    def scores(self, start: int, stop: int) -> list[Tensor]:
        """Return scores (slices, classes, row, column); with flips also those of each order alone.

        One member: logits. Several: the mean of their softmax, float32.
        """
        total: list[Tensor] = []
        labels: list[Tensor] = []
        for ring, members in self._groups.values():
            stacks = ring.stacks(start, stop)
            for member in members:
                logits = _logits(member, stacks, flips=self.flips)
                self.highest = torch.maximum(self.highest, logits[0].amax().float())  # also of the parts of the mean
                own = [native_logits(part, ring.matrix, self._native) for part in logits]
                if self._alone:
                    return own
                labels.append(highest_classes(own[0]))
                softmax = [part.float().softmax(1) for part in own]
                total = [a.add_(b) for a, b in zip(total, softmax, strict=True)] if total else softmax
        self._count(labels)
        return [part.div_(self._number) for part in total]

    def softmax(self, scores: Tensor) -> Tensor:
        """Return the probabilities of the classes, float32, from one of the `scores`."""
        return scores.float().softmax(1) if self._alone else scores

    def _count(self, labels: Sequence[Tensor]) -> None:
        """Add, for each organ, the number n of members that agree on a voxel, and n (n - 1), over the voxels."""
        for row, organ in zip(self._voxels, ORGANS, strict=True):
            found = torch.zeros(labels[0].shape, dtype=torch.int32, device=row.device)
            for own in labels:
                found += own == int(organ)
            row += torch.stack([found.sum(), (found * (found - 1)).sum()])

    def agreement(self) -> dict[Structure, float | None] | None:
        """Return the DSS between the label maps of the members, pooled over all pairs of members; None for one member.

        The voxels that both members of a pair share are added over all pairs, and so are their voxels; DSS is 2 times
        the first sum by the second. None for an organ that no member finds. It is 2 C / (1 + C) with the generalised
        conformity index C, which does not depend on the number of members.

        Source: Kouwenhoven et al., Phys Med Biol 2009;54:2863.
        """
        if self._alone:
            return None
        return {
            organ: pairs / ((self._number - 1) * voxels) if voxels else None
            for organ, (voxels, pairs) in zip(ORGANS, self._voxels.tolist(), strict=True)
        }


def _logits(model: TrainedModel, stacks: Tensor, *, flips: bool) -> list[Tensor]:
    """Return logits (B, 3, H, W); with flips the mean of both orders of the slices first, then those of each order.

    The mean of the softmax is returned as its logarithm: where both orders agree, it is interpolated as logits are.
    Left and right are not flipped: the network has learnt on which side the liver is.
    """
    plain = model.network(stacks)
    if not flips:
        return [plain]
    if model.slices == 1:
        return [plain] * 3
    reversed_ = model.network(stacks.flip(1))
    both = torch.logaddexp(plain.float().log_softmax(1), reversed_.float().log_softmax(1))
    return [both, plain, reversed_]
