"""Plain values to a network: the same for training, prediction and counting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liverspleen.networks.deeplab import DeepLabV3Plus
    from liverspleen.networks.unet import UNet


def build_network(architecture: Mapping[str, Any], *, sections: int) -> DeepLabV3Plus | UNet:
    """The network of a configuration or a checkpoint, with random weights.

    It takes (B, `sections`, H, W) to logits (B, 3, H, W), and H and W must be multiples of its `output_stride`.

    Args:
        architecture: `name` (`deeplab`, `unet_2d` or `unet_3d`) and that network's arguments; empty ones are left out.
        sections: neighbouring sections in, an odd number.

    Raises:
        ValueError: there is no such network, or it cannot be built that way.

    >>> build_network({"name": "unet_2d", "output_stride": 8, "width": 4, "encoder": None}, sections=1).output_stride
    8
    """
    choices = {key: value for key, value in architecture.items() if value is not None}
    name = choices.pop("name", "deeplab")  # checkpoints older than the choice hold no name
    if sections < 1 or sections % 2 == 0:
        raise ValueError(f"a network needs an odd number of sections, not {sections}")
    if name == "deeplab":
        from liverspleen.networks.deeplab import DeepLabV3Plus

        return DeepLabV3Plus(sections=sections, **choices)
    if name in {"unet_2d", "unet_3d"}:
        from liverspleen.networks.unet import UNet  # MONAI's networks are slow to import

        return UNet(volumetric=name == "unet_3d", sections=sections, **choices)
    raise ValueError(f"there is no network {name!r}, only deeplab, unet_2d and unet_3d")
