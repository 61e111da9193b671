"""DeepLabV3+ (Chen et al., ECCV 2018) with a separable pyramid, as in Figure 2 of the paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from liverspleen.networks.encoder import Encoder
from liverspleen.organs import NUM_CLASSES


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _separable(inputs: int, outputs: int, *, rate: int = 1) -> nn.Sequential:
    """Return a depthwise 3x3 convolution at an atrous rate and a pointwise one, each with batch norm and ReLU."""
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=rate, dilation=rate, groups=inputs, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), *_conv(inputs, outputs))


class AtrousSeparablePyramid(nn.Module):
    """Parallel 1x1, atrous separable 3x3 and image-pooling branches, projected to `width` channels."""

    def __init__(self, inputs: int, *, width: int, rates: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList([_conv(inputs, width), *(_separable(inputs, width, rate=r) for r in rates)])
        self.pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_conv(inputs, width))
        self.project = nn.Sequential(*_conv(width * (len(rates) + 2), width), nn.Dropout(dropout))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, width, h, w)."""
        pooled = self.pooling(features).expand(-1, -1, *features.shape[-2:])
        projected: Tensor = self.project(torch.cat([*(branch(features) for branch in self.branches), pooled], dim=1))
        return projected


class DeepLabV3Plus(nn.Module):
    """DeepLabV3+: class logits of the middle one of several neighbouring slices.

    Args:
        encoder: name of a timm encoder; `xception65` is that of the paper (Figure 2: modified Xception), with the 2048
            channels of the authors' code; `xception65_without_exit_flow` ends at the 728 channels of Figure 2.
        slices: number of input slices, odd; 3 in the paper.
        output_stride: of the encoder; 16 in the paper (512 to 32).
        skip_stride: of the features that skip to the decoder; 4 in the paper (Figure 2: bilinear x4, x4).
        rates: atrous rates of the pyramid; 6, 12, 18 in Chen et al. 2018, section 4 (output stride 16).
        pyramid_channels: width of the pyramid's branches and of the decoder; 256 in Chen et al. 2018.
        skip_channels: width of the projected skip features; 48 in Chen et al. 2018, section 4.1.
        dropout: after the projection of the pyramid; 0.1 in the authors' code.

    H and W of the input must be multiples of the output stride. In training mode a batch needs at least two samples,
    because the image-pooling branch has one value per channel.

    >>> network = DeepLabV3Plus(encoder="resnet18").eval()
    >>> with torch.inference_mode():
    ...     tuple(network(torch.zeros(2, 3, 64, 96)).shape)
    (2, 3, 64, 96)
    """

    def __init__(
        self,
        *,
        encoder: str = "xception65",
        slices: int = 3,
        output_stride: int = 16,
        skip_stride: int = 4,
        rates: Sequence[int] = (6, 12, 18),
        pyramid_channels: int = 256,
        skip_channels: int = 48,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(encoder, slices=slices, output_stride=output_stride, skip_stride=skip_stride)
        self.pyramid = AtrousSeparablePyramid(
            self.encoder.channels, width=pyramid_channels, rates=rates, dropout=dropout
        )
        self.skip = _conv(self.encoder.skip_channels, skip_channels)
        self.decoder = nn.Sequential(
            _separable(pyramid_channels + skip_channels, pyramid_channels),
            _separable(pyramid_channels, pyramid_channels),
        )
        self.head = nn.Conv2d(pyramid_channels, NUM_CLASSES, 1)

    @property
    def output_stride(self) -> int:
        """Height and width of the input must be multiples of this."""
        return self.encoder.output_stride

    def forward(self, slices: Tensor) -> Tensor:
        """Return logits (B, 3, H, W) of scaled intensities (B, slices, H, W)."""
        low, deep = self.encoder(slices)
        context = _upsample(self.pyramid(deep), low.shape[-2:])
        logits = self.head(self.decoder(torch.cat([context, self.skip(low)], dim=1)))
        return _upsample(logits, slices.shape[-2:])


def _upsample(features: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)
