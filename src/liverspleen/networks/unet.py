"""U-Nets for comparison, 2D and 3D, with the interface of DeepLabV3+."""

from __future__ import annotations

import torch
from monai.networks.layers.simplelayers import SkipConnection
from monai.networks.nets.unet import UNet as MonaiUNet
from torch import Tensor, nn

from liverspleen.organs import NUM_CLASSES


class UNet(nn.Module):
    """U-Net of MONAI: class logits of the middle one of several neighbouring slices.

    The U-Net of MONAI is that of Kerfoot et al. 2019: strided convolutions down, transposed convolutions up, two
    residual units per level, instance norm, PReLU.

    Args:
        volumetric: True: a 3D network; the slices are the depth, which is never downsampled, and the kernels are
            3 x 3 x 3. False: a 2D network; the slices are the input channels.
        slices: number of input slices, odd.
        output_stride: of the deepest level, a power of two of at least 4; H and W must be multiples of it.
        width: channels of the first level, doubled at each further level.
        deep_supervision: in training mode the network also returns logits of the coarser resolutions of its decoder.
            As in nnU-Net, the coarsest one is not used.

    Raises:
        ValueError: the output stride is not a power of two of at least 4.

    >>> import torch
    >>> network = UNet(volumetric=True, slices=5, output_stride=4, width=4).eval()
    >>> with torch.inference_mode():
    ...     tuple(network(torch.zeros(2, 5, 16, 24)).shape)
    (2, 3, 16, 24)
    """

    def __init__(
        self, *, volumetric: bool, slices: int, output_stride: int, width: int, deep_supervision: bool = False
    ) -> None:
        super().__init__()
        halvings = output_stride.bit_length() - 1
        if output_stride != 2**halvings or halvings < 2:
            raise ValueError(f"a U-Net cannot be built at output stride {output_stride}, expected 4, 8, 16, ...")
        self.volumetric, self.middle, self.output_stride = volumetric, slices // 2, output_stride
        stride = (1, 2, 2) if volumetric else (2, 2)  # slices are few and thick: 3 of 5 mm
        self.body = MonaiUNet(
            spatial_dims=len(stride),
            in_channels=1 if volumetric else slices,
            out_channels=NUM_CLASSES,
            channels=[width * 2**level for level in range(halvings + 1)],
            strides=[stride] * halvings,  # type: ignore[list-item]
            num_res_units=2,  # Kerfoot et al. 2019
        )
        coarse = range(halvings - 2) if deep_supervision else ()
        conv = nn.Conv3d if volumetric else nn.Conv2d
        self.heads = nn.ModuleList(conv(width * 2**level, NUM_CLASSES, 1) for level in coarse)

    @property
    def encoder(self) -> nn.Module:
        """The levels on the way down, the deepest one included."""
        found: list[nn.Module] = []
        level: nn.Module = self.body.model
        while isinstance(level, nn.Sequential) and isinstance(level[1], SkipConnection):
            found.append(level[0])
            level = level[1].submodule
        return nn.ModuleList([*found, level])

    def forward(self, slices: Tensor) -> Tensor | list[Tensor]:
        """Return logits (B, 3, H, W) of scaled intensities (B, slices, H, W).

        In training mode with deep supervision it returns a list: these logits, then those at half the resolution, at a
        quarter, and so on.
        """
        given = slices.unsqueeze(1) if self.volumetric else slices
        if not (self.training and self.heads):
            return self._plane(self.body(given))
        full, *coarse = _decoded(self.body.model, given)
        # not strict: the coarsest resolution has no head
        logits = [full, *(head(features) for head, features in zip(self.heads, coarse, strict=False))]
        return [self._plane(one) for one in logits]

    def _plane(self, features: Tensor) -> Tensor:
        """Return the features of the middle slice."""
        return features[:, :, self.middle] if self.volumetric else features


def _decoded(block: nn.Module, features: Tensor) -> list[Tensor]:
    """Return the outputs of the decoder at each resolution, finest first; the first is the output of the block."""
    down, skip, up = block.children()
    (inner,) = skip.children()
    encoded = down(features)
    coarse = _decoded(inner, encoded) if isinstance(inner, nn.Sequential) else []
    deeper = coarse[0] if coarse else inner(encoded)
    return [up(torch.cat([encoded, deeper], 1)), *coarse]
