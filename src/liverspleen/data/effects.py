"""Effects of the augmentation on intensities (B, slices, H, W); one value for all slices of a sample."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from liverspleen.data.warping import identity_grid

KERNEL_PX: Final = 1.0
"""SD in pixels of the Gaussian that separates low from high frequencies in `rekernelled`."""
ERASED_ASPECT: Final = 0.3
"""Least ratio of the sides of an erased rectangle, relative to those of the image: Zhong et al. 2020, Section 4.1."""
_SAMPLE: Final = (1, 2, 3)
"""Axes of a sample."""
_TINY: Final = 1e-7
"""Least divisor."""


def thicker(slices: Tensor, factor: Tensor) -> Tensor:
    """Return slices that are `factor` (B,) times as thick as their distance, 1 to 3, as means over the covered range.

    Slice k has weight 1 / factor, and its two neighbours in the stack have equal weights; at the ends of the stack the
    outermost slice is its own neighbour. A stack of one slice is unchanged.

    >>> stack = torch.tensor([0.0, 4.0, 0.0, 0.0]).reshape(1, 4, 1, 1)
    >>> thicker(stack, torch.tensor([2.0])).flatten().tolist()
    [1.0, 2.0, 1.0, 0.0]
    """
    centre = by_sample(1 / factor, slices)
    side = (1 - centre) / 2
    mixed = slices * centre
    mixed[:, 1:].addcmul_(slices[:, :-1], side)
    mixed[:, :-1].addcmul_(slices[:, 1:], side)
    mixed[:, :1].addcmul_(slices[:, :1], side)
    mixed[:, -1:].addcmul_(slices[:, -1:], side)
    return mixed


def blurred(slices: Tensor, sigma_px: Tensor, *, reach_px: int) -> Tensor:
    """Return slices smoothed by Gaussians of `sigma_px` (B,), cut off at `reach_px`; edges are continued."""
    rows, columns = slices.shape[-2:]
    distance = torch.arange(-reach_px, reach_px + 1, device=slices.device)
    sigma_px = sigma_px.to(slices.device, non_blocking=True)
    weights = torch.exp(-0.5 * (distance / sigma_px.clamp(min=1e-3)[:, None]) ** 2)  # a sigma of 0 changes nothing
    taps = (weights / weights.sum(1, keepdim=True)).T
    wide = functional.pad(slices, [reach_px] * 4, mode="replicate")
    down, both = torch.zeros_like(wide[:, :, :rows]), torch.zeros_like(slices)
    # shifted sums: less than half the time of a convolution with one kernel per sample
    for place, weight in enumerate(taps):
        down.addcmul_(wide[:, :, place : place + rows], by_sample(weight, slices))
    for place, weight in enumerate(taps):
        both.addcmul_(down[..., place : place + columns], by_sample(weight, slices))
    return both


def rekernelled(slices: Tensor, change: Tensor) -> Tensor:
    """Return slices whose high frequencies are changed by the fraction `change` (B,): sharper above 0, smoother below.

    The factor of frequency f, in cycles per pixel, is 1 + change (1 - exp(-2 (pi KERNEL_PX f)^2)), so that the mean
    of a region stays; -1 is the Gaussian itself. Reconstruction kernels of CT differ in such factors.
    """
    width = torch.full_like(change, KERNEL_PX)
    smooth = blurred(slices, width, reach_px=math.ceil(3 * KERNEL_PX))
    return torch.lerp(smooth, slices, by_sample(1 + change, slices))


def contrasted(slices: Tensor, factor: Tensor) -> Tensor:
    """Return slices with differences from the mean of the sample times `factor` (B,), clipped to their former range.

    A factor below 1 keeps the mean; one above 1 keeps it where nothing is clipped.

    >>> ramp = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 5)
    >>> contrasted(ramp, torch.tensor([0.5])).flatten().tolist()
    [1.0, 1.5, 2.0, 2.5, 3.0]
    >>> contrasted(ramp, torch.tensor([1.5])).flatten().tolist()
    [0.0, 0.5, 2.0, 3.5, 4.0]
    """
    mean, lowest, highest = slices.mean(_SAMPLE), slices.amin(_SAMPLE), slices.amax(_SAMPLE)
    changed = slices - by_sample(mean, slices)
    changed.mul_(by_sample(factor, slices)).add_(by_sample(mean, slices))
    return changed.clamp_(by_sample(lowest, slices), by_sample(highest, slices))


def gamma_changed(slices: Tensor, exponent: Tensor, *, inverted: bool) -> Tensor:
    """Return slices with `exponent` (B,) applied to intensities scaled to 0 to 1; mean and SD of a sample stay.

    Inverted, the highest intensity counts as 0. A constant sample is unchanged.
    """
    # the range need not be scaled to 0 to 1, as mean and SD cancel any factor
    curved = (
        by_sample(slices.amax(_SAMPLE), slices) - slices
        if inverted
        else slices - by_sample(slices.amin(_SAMPLE), slices)
    )
    curved.log2_().mul_(by_sample(exponent, slices)).exp2_()  # a third of the time of pow
    curved.sub_(by_sample(curved.mean(_SAMPLE), slices))
    mean = by_sample(slices.mean(_SAMPLE), slices)
    spread, new = torch.linalg.vector_norm(slices - mean, dim=_SAMPLE), torch.linalg.vector_norm(curved, dim=_SAMPLE)
    factor = spread / new.clamp_(min=_TINY)
    return curved.mul_(by_sample(-factor if inverted else factor, slices)).add_(mean)


def coarsened(slices: Tensor, resolution: Tensor) -> Tensor:
    """Return slices sampled (nearest) with `resolution` (B,) times as many pixels per side, and interpolated back.

    >>> coarsened(torch.tensor([0.0, 1.0, 2.0, 3.0]).expand(1, 1, 4, 4), torch.tensor([0.5]))[0, 0, 0].tolist()
    [1.0, 1.5, 2.5, 3.0]
    """
    sides, coarse = slices.shape[-2:], torch.empty_like(slices)
    places = identity_grid(sides[0], sides[1], slices.device)
    for sample, fraction in enumerate(resolution.tolist()):  # each has another number of pixels
        few = [max(1, round(side * fraction)) for side in sides]
        sampled = functional.interpolate(slices[sample, None], few, mode="nearest-exact")
        # half the time of interpolate
        coarse[sample] = functional.grid_sample(sampled, places, "bilinear", "border", align_corners=False)[0]
    return coarse


def erased(slices: Tensor, rectangle: Tensor) -> Tensor:
    """Return slices in which one rectangle of each sample has the mean of the sample.

    `rectangle` (B, 4), on the CPU, has its area as a fraction of the image, and three numbers from 0 to 1: ratio of its
    sides (0.3 to 1 / 0.3 on a logarithmic scale), row and column.
    """
    rows, columns = slices.shape[-2:]
    means, cut = slices.mean(_SAMPLE), slices.clone()
    for sample, (area, aspect, down, across) in enumerate(rectangle.tolist()):
        ratio = ERASED_ASPECT ** (1 - 2 * aspect)
        height = min(int(math.sqrt(area * ratio) * rows), rows)
        width = min(int(math.sqrt(area / ratio) * columns), columns)
        top, left = int(down * (rows - height + 1)), int(across * (columns - width + 1))
        cut[sample, :, top : top + height, left : left + width] = means[sample]
    return cut


def by_sample(values: Tensor, slices: Tensor) -> Tensor:
    """Return one value per sample (B,) on the device of the slices, with the axes of the slices."""
    return values.to(slices.device, non_blocking=True)[:, None, None, None]
