"""Plain values to a network: the same for training, prediction and counting."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from liverspleen.networks import own

if TYPE_CHECKING:
    from torch import nn

    from liverspleen.networks.deeplab import DeepLabV3Plus
    from liverspleen.networks.unet import UNet

    class OwnNetwork(nn.Module):
        """What a class `Network` in `networks/own/` is to those who call it."""

        output_stride: int


_OF_THE_PACKAGE = ("deeplab", "unet_2d", "unet_3d")


def network_names() -> tuple[str, ...]:
    """What `network.name` may be: the networks of this package, and the modules in `networks/own/`.

    >>> network_names()[:3]
    ('deeplab', 'unet_2d', 'unet_3d')
    """
    modules = {module.name for module in pkgutil.iter_modules(own.__path__)}
    return (*_OF_THE_PACKAGE, *sorted(modules.difference(_OF_THE_PACKAGE)))


def build_network(architecture: Mapping[str, Any], *, slices: int) -> DeepLabV3Plus | UNet | OwnNetwork:
    """The network of a configuration or a checkpoint, with random weights.

    It takes (B, `slices`, H, W) to logits (B, 3, H, W), and H and W must be multiples of its `output_stride`.

    Args:
        architecture: `name`, one of `network_names()`, and that network's arguments; empty ones are left out.
        slices: neighbouring slices in, an odd number.

    Raises:
        ValueError: there is no such network, or it cannot be built that way.

    >>> build_network({"name": "unet_2d", "output_stride": 8, "width": 4, "encoder": None}, slices=1).output_stride
    8
    """
    choices = {key: value for key, value in architecture.items() if value is not None}
    name = choices.pop("name", "deeplab")  # checkpoints older than the choice hold no name
    if slices < 1 or slices % 2 == 0:
        raise ValueError(f"a network needs an odd number of slices, not {slices}")
    if name == "deeplab":
        from liverspleen.networks.deeplab import DeepLabV3Plus

        return DeepLabV3Plus(slices=slices, **_of_use(DeepLabV3Plus, name, choices))
    if name in {"unet_2d", "unet_3d"}:
        from liverspleen.networks.unet import UNet  # MONAI's networks are slow to import

        return UNet(volumetric=name == "unet_3d", slices=slices, **_of_use(UNet, name, choices))
    names = network_names()
    if name not in names:  # of all that could be imported, only what lies in that folder
        raise ValueError(f"there is no network {name!r}, only {', '.join(names[:-1])} and {names[-1]}")
    kind: type[OwnNetwork] = importlib.import_module(f"{own.__name__}.{name}").Network
    return kind(slices=slices, **_of_use(kind, name, choices))


def _of_use(kind: type, name: str, choices: dict[str, Any]) -> dict[str, Any]:
    """The choices, if the network takes all of them."""
    if unknown := sorted(choices.keys() - inspect.signature(kind).parameters.keys()):
        raise ValueError(f"network {name} has no use for {', '.join(unknown)}")
    return choices
