"""Random geometry, slice thickness, sharpness and intensity, applied to a batch on the training device."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import torch
from torch import Tensor
from torch.nn import functional


def draw_seed(seed: int, step: int, rank: int = 0) -> int:
    """Return the augmentation seed of one step on one rank: the same in every process and after an interruption.

    >>> len({draw_seed(0, step, rank) for step in range(100) for rank in range(8)})
    800
    """
    # the hash of integers does not depend on the process
    return hash((seed, step) if rank == 0 else (seed, step, rank)) % 2**63


@dataclass(frozen=True)
class Augmentation:
    """Rotation, scale, shift, thickness, blur, gain, offset and noise, each uniform up to its limit; 0 for none.

    All slices of a sample and its labels get the same geometry. There are no flips, because liver and spleen have
    sides. Limits: `rotation_deg` in both directions; `scale` and `gain` relative to 1; `shift` relative to the edge of
    the image; `offset` in scaled intensity; `noise` as the SD of Gaussian noise in scaled intensity; `blur_px` as the
    SD of a Gaussian in the plane, in pixels; `thickness` as the relative increase of slice thickness, at most 2 (see
    `thicker`).

    Raises:
        ValueError: a limit is negative, or `thickness` is above 2.

    >>> image, labels = torch.rand(2, 3, 8, 8), torch.ones(2, 8, 8, dtype=torch.uint8)
    >>> same_image, same_labels = Augmentation()(image, labels, seed=0)
    >>> torch.equal(image, same_image), torch.equal(labels, same_labels)
    (True, True)
    """

    rotation_deg: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0
    blur_px: float = 0.0
    thickness: float = 0.0

    def __post_init__(self) -> None:
        if min(astuple(self)) < 0 or self.thickness > 2:
            raise ValueError(f"limits of {self} must be 0 or more, thickness at most 2")

    def __call__(self, slices: Tensor, labels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Augment (B, slices, H, W) intensities and (B, H, W) label values; reproducible by seed and device.

        Intensities are float32, also under autocast.
        """
        if not any(astuple(self)):
            return slices, labels
        with torch.autocast(slices.device.type, enabled=False):
            return self._apply(slices.float(), labels, seed)

    def _apply(self, slices: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        draws = [torch.rand(len(labels), count, generator=generator) for count in (6, 3)]
        # sampled on the CPU, so equal for every device; non-blocking, so that the host does not wait for the GPU
        signed, fraction = (draw.to(slices.device, non_blocking=True) for draw in draws)
        signed = signed * 2 - 1
        noise_seed = int(torch.randint(2**62, (), generator=generator))
        if self.rotation_deg or self.scale or self.shift:
            slices, labels = self._transform(slices, labels, signed)
        if self.thickness:
            slices = thicker(slices, 1 + fraction[:, 0] * self.thickness)
        if self.blur_px:
            slices = blurred(slices, fraction[:, 1] * self.blur_px, reach_px=math.ceil(3 * self.blur_px))
        if self.gain or self.offset:
            gain, offset = (1 + signed[:, 4] * self.gain), signed[:, 5] * self.offset
            slices = (slices * _by_sample(gain)).add_(_by_sample(offset))
        if self.noise:
            noise = torch.Generator(slices.device).manual_seed(noise_seed)
            values = torch.randn(slices.shape, generator=noise, device=slices.device)
            slices = values.mul_(_by_sample(fraction[:, 2] * self.noise)).add_(slices)
        return slices, labels

    def _transform(self, slices: Tensor, labels: Tensor, signed: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate, scale and shift; pixels from outside the image continue its edge."""
        angle, scale = torch.deg2rad(signed[:, 0] * self.rotation_deg), 1 + signed[:, 1] * self.scale
        rows, columns = labels.shape[-2:]
        cosine, sine = (torch.cos(angle) * scale)[:, None], (torch.sin(angle) * scale)[:, None]
        shift = (signed[:, 2:4] * 2 * self.shift)[..., None]
        across, down = _centres(columns, slices.device), _centres(rows, slices.device)
        # From the new grid to the old, (x, y) in -1..1, as a row plus a column: ten times as fast as affine_grid.
        row = torch.stack([cosine * across, sine * columns / rows * across], 1) + shift
        column = torch.stack([-sine * rows / columns * down, cosine * down], 1)
        grid = (row[:, :, None, :] + column[:, :, :, None]).permute(0, 2, 3, 1)
        moved = functional.grid_sample(slices, grid, "bilinear", "border", align_corners=False)
        classes = functional.grid_sample(labels[:, None].float(), grid, "nearest", "border", align_corners=False)
        return moved, classes[:, 0].to(labels.dtype)


def thicker(slices: Tensor, factor: Tensor) -> Tensor:
    """Return slices that are `factor` (B,) times as thick as their distance, 1 to 3, as means over the covered range.

    Slice k has weight 1 / factor, and its two neighbours in the stack have equal weights; at the ends of the stack the
    outermost slice is its own neighbour. A stack of one slice is unchanged.

    >>> stack = torch.tensor([0.0, 4.0, 0.0, 0.0]).reshape(1, 4, 1, 1)
    >>> thicker(stack, torch.tensor([2.0])).flatten().tolist()
    [1.0, 2.0, 1.0, 0.0]
    """
    centre = _by_sample(1 / factor)
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
    weights = torch.exp(-0.5 * (distance / sigma_px.clamp(min=1e-3)[:, None]) ** 2)  # a sigma of 0 changes nothing
    taps = (weights / weights.sum(1, keepdim=True)).T
    wide = functional.pad(slices, [reach_px] * 4, mode="replicate")
    down, both = torch.zeros_like(wide[:, :, :rows]), torch.zeros_like(slices)
    # shifted sums: less than half the time of a convolution with one kernel per sample
    for place, weight in enumerate(taps):
        down.addcmul_(wide[:, :, place : place + rows], _by_sample(weight))
    for place, weight in enumerate(taps):
        both.addcmul_(down[..., place : place + columns], _by_sample(weight))
    return both


def _centres(count: int, device: torch.device) -> Tensor:
    """Return centres of pixels along an edge from -1 to 1."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1


def _by_sample(values: Tensor) -> Tensor:
    return values[:, None, None, None]
