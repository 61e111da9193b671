"""Random geometry and intensity, drawn on the training device for a whole batch."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """Rotation, scale and shift in the plane, then gain and offset of the intensities; each uniform up to its limit.

    All sections of a sample and its labels get the same geometry. No flips: liver and spleen have sides.
    Limits: `rotation_deg` to either side; `scale` and `gain` as a share of 1; `shift` as a share of the image's side;
    `offset` in scaled intensity.

    >>> nothing = Augmentation(rotation_deg=0.0, scale=0.0, shift=0.0, gain=0.0, offset=0.0)
    >>> image, labels = torch.rand(2, 3, 8, 8), torch.ones(2, 8, 8, dtype=torch.uint8)
    >>> same_image, same_labels = nothing(image, labels, seed=0)
    >>> torch.allclose(image, same_image, atol=1e-5), torch.equal(labels, same_labels)
    (True, True)
    """

    rotation_deg: float
    scale: float
    shift: float
    gain: float
    offset: float

    def __call__(self, sections: Tensor, labels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """(B, sections, H, W) intensities and (B, H, W) label values, the same for the same seed.

        What enters from outside the image continues its edge.
        """
        if not any(astuple(self)):
            return sections, labels
        draws = torch.rand(len(labels), 6, generator=torch.Generator().manual_seed(seed)).to(sections.device) * 2 - 1
        angle, scale = torch.deg2rad(draws[:, 0] * self.rotation_deg), 1 + draws[:, 1] * self.scale
        rows, columns = labels.shape[-2:]
        matrix = torch.empty(len(labels), 2, 3, device=sections.device)  # from the new grid to the old, both in -1..1
        matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle) * scale
        matrix[:, 0, 1] = -torch.sin(angle) * scale * rows / columns
        matrix[:, 1, 0] = torch.sin(angle) * scale * columns / rows
        matrix[:, :, 2] = draws[:, 2:4] * 2 * self.shift
        grid = functional.affine_grid(matrix, [len(labels), 1, rows, columns], align_corners=False)
        moved = functional.grid_sample(sections, grid, "bilinear", "border", align_corners=False)
        classes = functional.grid_sample(labels[:, None].float(), grid, "nearest", "border", align_corners=False)
        gain, offset = (1 + draws[:, 4] * self.gain), draws[:, 5] * self.offset
        return moved * gain[:, None, None, None] + offset[:, None, None, None], classes[:, 0].to(labels.dtype)
