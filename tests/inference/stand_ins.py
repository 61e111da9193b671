"""Networks with labels that are known by hand computation, and CT for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from liverspleen.data.window import IntensityWindow
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import CTVolume
from liverspleen.inference.model import TrainedModel

WINDOW = IntensityWindow(0.0, 100.0, clip=True)


class SliceBelow(nn.Module):
    """Liver where the slice below (more inferior) is at 0.25 or more, spleen where it is at 0.75 or more."""

    def forward(self, slices: Tensor) -> Tensor:
        below = slices[:, 0]
        return torch.stack([torch.zeros_like(below), below - 0.25, 2 * below - 1.0], dim=1)


class Pointwise(nn.Module):
    """A 1 x 1 convolution, as a fast network."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, slices: Tensor) -> Tensor:
        logits: Tensor = self.layer(slices)
        return logits


def stand_in(network: Any, *, slices: int = 3, **more: Any) -> TrainedModel:
    """Return a model of that network without a file."""
    return TrainedModel(network.eval(), more.pop("window", WINDOW), slices, 16, {}, "", **more)


def volume(hu: np.ndarray, spacing_mm: float = 5.0) -> CTVolume:
    """Return a CT with these HU (slice, row, column) on an axis-aligned grid."""
    slices, rows, columns = hu.shape
    grid = Geometry((columns, rows, slices), np.diag([-1.0, -1.0, spacing_mm, 1.0]))
    return CTVolume(np.ascontiguousarray(hu, np.int16), grid)
