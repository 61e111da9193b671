"""Losses on logits that ignore unlabelled structures; Dice, focal and Tversky terms are MONAI's.

A loss is a weighted sum of terms. A term is called as `term(logits, labels)` with float32 logits (B, classes, H, W) and
label values (B, H, W), and returns a scalar. Channels are in the order of `Structure`: background, then `ORGANS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from monai.losses.dice import DiceLoss
from monai.losses.focal_loss import FocalLoss
from monai.losses.tversky import TverskyLoss
from torch import Tensor, nn
from torch.nn import functional

from liverspleen.organs import ORGANS

Term = Callable[[Tensor, Tensor], Tensor]

_NEVER = -1e4
"""Logit of an excluded class: its probability is 0 in float32, and unlike -inf it has a finite logarithm."""


class SegmentationLoss(nn.Module):
    """Weighted sum of terms, in float32 also under autocast, and finite for a batch without any organ.

    A structure that is not labelled in a sample is merged with the background (see `merged`). Its logits get a gradient
    of exactly 0, and the other structure is trained.

    With deep supervision there are logits at several resolutions. The loss is then the weighted mean over them: each
    has half the weight of the next finer one, as in nnU-Net (Isensee et al. 2021, Methods), and the labels are those of
    every second, fourth, ... pixel.

    Args:
        terms: pairs of weight and term.

    >>> loss = SegmentationLoss([(1.0, Dice()), (1.0, CrossEntropy())])
    >>> empty, both = torch.zeros(2, 8, 8, dtype=torch.uint8), torch.ones(2, 2, dtype=torch.bool)
    >>> bool(torch.isfinite(loss(torch.zeros(2, 3, 8, 8), empty, both)))
    True
    """

    def __init__(self, terms: Sequence[tuple[float, Term]]) -> None:
        super().__init__()
        self.terms = tuple(terms)

    def forward(self, logits: Tensor | Sequence[Tensor], labels: Tensor, labelled: Tensor) -> Tensor:
        """Return the loss of logits (B, 3, H, W) and label values (B, H, W); `labelled` is (B, 2), by `ORGANS`.

        With deep supervision `logits` is a sequence, full resolution first.
        """
        if isinstance(logits, Tensor):
            return self._at_one_resolution(logits, labels, labelled)
        parts = [
            self._at_one_resolution(one, downsampled(labels, one.shape[-1]), labelled) / 2**level
            for level, one in enumerate(logits)
        ]
        return torch.stack(parts).sum() / sum(2.0**-level for level in range(len(parts)))

    def _at_one_resolution(self, logits: Tensor, labels: Tensor, labelled: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):  # sums over 512 x 512 pixels overflow float16
            known_logits, known_labels = merged(logits.float(), labels.long(), labelled)
            return torch.stack([weight * term(known_logits, known_labels) for weight, term in self.terms]).sum()


def downsampled(labels: Tensor, width: int) -> Tensor:
    """Return the labels (B, H, W) of every n-th pixel, so that rows have `width` pixels; n divides H and W.

    These are the pixels that nearest-neighbour interpolation selects, so small organs do not disappear systematically.

    >>> downsampled(torch.arange(16).view(1, 4, 4), 2).tolist()
    [[[5, 7], [13, 15]]]
    """
    factor = labels.shape[-1] // width
    return labels[:, factor // 2 :: factor, factor // 2 :: factor]


def merged(logits: Tensor, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and labels with the unlabelled structures of each sample merged into its background.

    A voxel labelled as background may be any unlabelled structure. So the probability of the background becomes the sum
    of its own and theirs, and theirs becomes 0 (the marginal loss of Shi et al., Medical Image Analysis 2021). In
    addition to that source, their logits are constants in the sum, so an organ is trained only on samples that label
    it. If all structures are labelled, both are returned unchanged.

    >>> logits = torch.tensor([0.5, 0.2, 0.3]).log().reshape(1, 3, 1, 1)
    >>> known, labels = merged(logits, torch.tensor([[[2]]]), torch.tensor([[True, False]]))
    >>> [round(p, 4) for p in known.softmax(1).flatten().tolist()], labels.flatten().tolist()
    ([0.8, 0.2, 0.0], [0])
    """
    labelled = labelled.to(logits.device)
    hidden = ~labelled[:, :, None, None]
    background, organs = logits[:, :1], logits[:, 1:]
    constants = organs.detach().masked_fill(~hidden, -torch.inf)
    background = torch.cat([background, constants], 1).logsumexp(1, keepdim=True)
    # 0 (background) if not labelled; computed without a tensor of constants, for which the host would wait for the GPU
    values = torch.stack([known * organ for known, organ in zip(labelled.long().T, ORGANS, strict=True)], 1)
    values = functional.pad(values, (1, 0))
    known = values.gather(1, labels.flatten(1)).view_as(labels)
    return torch.cat([background, organs.masked_fill(hidden, _NEVER)], 1), known


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy over all classes, mean over the voxels, weighted by `class_weights` (see `voxel_mean`)."""

    class_weights: tuple[float, ...] = ()

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss."""
        if not self.class_weights:
            return functional.cross_entropy(logits, labels)
        return voxel_mean(functional.cross_entropy(logits, labels, reduction="none"), labels, self.class_weights)


@dataclass(frozen=True)
class Dice:
    """1 minus soft Dice, mean over the organs, each computed over the whole batch.

    It is not computed per slice, because most slices lack an organ, and the Dice of an absent organ would penalise
    every small probability of it.
    """

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss."""
        term = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
        value: Tensor = term(logits, labels[:, None])
        return value


@dataclass(frozen=True)
class Tversky:
    """1 minus the Tversky index, mean over the organs, each computed over the whole batch.

    TP / (TP + `alpha` FP + `beta` FN) of soft counts; with 0.5 and 0.5 it is Dice. Source: Salehi et al., MLMI 2017.
    """

    alpha: float
    beta: float

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss."""
        term = TverskyLoss(
            include_background=False, to_onehot_y=True, softmax=True, batch=True, alpha=self.alpha, beta=self.beta
        )
        value: Tensor = term(logits, labels[:, None])
        return value


@dataclass(frozen=True)
class Focal:
    """(1 - p)^`gamma` times the cross-entropy of each voxel, p the probability of its class; mean over the voxels.

    The mean is weighted by `class_weights` (see `voxel_mean`), the alpha of section 3.1. With `gamma` 0 it is
    cross-entropy; between 0 and 1 its gradient at p = 1 would be infinite. Source: Lin et al., ICCV 2017.

    Raises:
        ValueError: `gamma` is neither 0 nor at least 1.
    """

    gamma: float
    class_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.gamma != 0 and not self.gamma >= 1:
            raise ValueError(f"gamma is {self.gamma}, expected 0 or at least 1")

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss."""
        term = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=self.gamma, reduction="none")
        voxels: Tensor = term(logits, labels[:, None]).sum(1)  # only the voxel's own class is not 0
        return voxel_mean(voxels, labels, self.class_weights)


def voxel_mean(voxels: Tensor, labels: Tensor, class_weights: Sequence[float]) -> Tensor:
    """Return the mean over voxels, weighted by the weight of each voxel's class; without weights the plain mean.

    Source: Ronneberger et al. 2015, section 3, whose weight map balances the frequencies of the classes. Dividing by
    the sum of the weights, as torch's cross-entropy does, keeps the size of the loss.

    >>> voxel_mean(torch.tensor([[1.0, 5.0]]), torch.tensor([[0, 1]]), [1.0, 3.0]).item()  # (1 x 1 + 3 x 5) / 4
    4.0
    """
    if not class_weights:
        return voxels.mean()
    # sums of scalars instead of a tensor of constants, for which the host would wait for the GPU
    weights = sum((weight * (labels == label) for label, weight in enumerate(class_weights)), torch.zeros_like(voxels))
    return (weights * voxels).sum() / weights.sum()


@dataclass(frozen=True)
class BoundaryDice:
    """Minus the mean soft Dice of the voxels near an organ's boundary: -1 to 0, and 0 for a batch without such voxels.

    The Dice of one voxel over all classes is 2 sum(p t) / (sum(p) + sum(t)). It equals the probability p of the voxel's
    class, because p and the one-hot t both sum to 1. A voxel is near the boundary if a voxel of another class of the
    same slice is less than `boundary_px` + 1 pixels away, along rows and along columns. The mean is over all such
    voxels of the batch. The paper does not describe this term; the authors' code has one, with a weight of 3 beside
    cross-entropy. The definitions of the voxel's Dice and of nearness are our assumptions.

    >>> labels = torch.tensor([[[0, 0, 0, 1]]])
    >>> near_boundary(labels, 1).tolist()
    [[[False, False, True, True]]]
    """

    boundary_px: int

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss."""
        own = logits.softmax(1).gather(1, labels[:, None])[:, 0]
        near = near_boundary(labels, self.boundary_px)
        return -(own * near).sum() / near.sum().clamp(min=1)


def near_boundary(labels: Tensor, distance_px: int) -> Tensor:
    """Return which voxels (B, H, W) have another class within `distance_px` in rows and columns; bool (B, H, W)."""
    values = labels.float()
    return _highest(values, distance_px) != -_highest(-values, distance_px)


def _highest(values: Tensor, distance_px: int) -> Tensor:
    """Return the highest value in the square around each pixel, without pixels outside the image."""
    side = 2 * distance_px + 1
    rows = functional.max_pool2d(values[:, None], (side, 1), stride=1, padding=(distance_px, 0))
    return functional.max_pool2d(rows, (1, side), stride=1, padding=(0, distance_px))[:, 0]
