"""The one door to timm: an encoder that gives the features DeepLabV3+ needs."""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor, nn


class Encoder(nn.Module):
    """A timm encoder cut to two feature maps.

    They are (B, `skip_channels`, H/`skip_stride`, W/`skip_stride`) and (B, `channels`, H/`output_stride`, ...).

    Args:
        name: a timm model that can be built with `features_only` and the wanted output stride.
        sections: number of input channels, one per section.
        output_stride: total downsampling of the last feature map; 16 in the paper (512 to 32).
        skip_stride: total downsampling of the first one; 4 in Chen et al. 2018, section 3.1.

    Raises:
        ValueError: timm has no such model, or it cannot be built at this output stride.

    >>> import torch
    >>> encoder = Encoder("resnet18", sections=3, output_stride=16, skip_stride=4).eval()
    >>> [tuple(f.shape) for f in encoder(torch.zeros(1, 3, 64, 64))]
    [(1, 64, 16, 16), (1, 512, 4, 4)]
    """

    def __init__(self, name: str, *, sections: int, output_stride: int, skip_stride: int) -> None:
        super().__init__()
        if not timm.is_model(name):
            near = ", ".join(timm.list_models(f"*{name.split('_')[0][:6]}*")[:4]) or "see timm.list_models()"
            raise ValueError(f"timm has no model {name!r}; near to it: {near}")
        try:
            body: Any = timm.create_model(
                name, pretrained=False, features_only=True, in_chans=sections, output_stride=output_stride
            )
        except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
            raise ValueError(f"encoder {name!r} cannot be built at output stride {output_stride}: {error}") from error
        strides: list[int] = body.feature_info.reduction()
        if strides[-1] != output_stride or skip_stride not in strides:
            raise ValueError(
                f"encoder {name!r} has features at strides {strides}, not {skip_stride} and {output_stride}"
            )
        channels: list[int] = body.feature_info.channels()
        self.body = body
        self._skip = strides.index(skip_stride)
        self.skip_channels = channels[self._skip]
        self.channels = channels[-1]
        self.output_stride = output_stride

    def forward(self, sections: Tensor) -> tuple[Tensor, Tensor]:
        """Skip features and deepest features of (B, sections, H, W)."""
        features = self.body(sections)
        return features[self._skip], features[-1]
