"""The intensity window: scaling of HU to the input of the network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class IntensityWindow:
    """Linear scale that maps `lower_hu` to 0 and `upper_hu` to 1, clipped to that range if `clip` is True.

    >>> IntensityWindow(-100.0, 100.0, clip=True)(torch.tensor([-500, 0, 50], dtype=torch.int16)).tolist()
    [0.0, 0.5, 0.75]
    """

    lower_hu: float
    upper_hu: float
    clip: bool

    def __post_init__(self) -> None:
        if not self.lower_hu < self.upper_hu:
            raise ValueError(
                f"window from {self.lower_hu} to {self.upper_hu} HU is empty, expected lower_hu below upper_hu"
            )

    def __call__(self, hu: Tensor) -> Tensor:
        """Return scaled intensities, float32 of the same shape."""
        scaled = hu.to(torch.float32, copy=True).sub_(self.lower_hu).div_(self.upper_hu - self.lower_hu)
        return scaled.clamp_(0.0, 1.0) if self.clip else scaled

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as stored in a checkpoint."""
        return asdict(self)
