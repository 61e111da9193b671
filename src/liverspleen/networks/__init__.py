"""Networks: an encoder from timm, DeepLabV3+ around it, U-Nets, and user-defined networks.

Importing this package does not import torch; using its names does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverspleen.lazy import lazy_exports

if TYPE_CHECKING:
    from liverspleen.networks.build import build_network, network_names
    from liverspleen.networks.deeplab import DeepLabV3Plus
    from liverspleen.networks.unet import UNet
else:
    __getattr__, __dir__ = lazy_exports(
        __name__, {"DeepLabV3Plus": "deeplab", "UNet": "unet", "build_network": "build", "network_names": "build"}
    )

__all__ = ["DeepLabV3Plus", "UNet", "build_network", "network_names"]
