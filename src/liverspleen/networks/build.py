"""Construction of a network from plain values, for training, prediction and counting."""

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

    class UserNetwork(nn.Module):
        """Interface of a class `Network` in `networks/own/`."""

        output_stride: int


_BUILT_IN = ("deeplab", "unet_2d", "unet_3d")


def network_names() -> tuple[str, ...]:
    """Return the options of `network.name`: the networks of this package and the modules in `networks/own/`.

    >>> network_names()[:3]
    ('deeplab', 'unet_2d', 'unet_3d')
    """
    modules = {module.name for module in pkgutil.iter_modules(own.__path__)}
    return (*_BUILT_IN, *sorted(modules.difference(_BUILT_IN)))


def build_network(architecture: Mapping[str, Any], *, slices: int) -> DeepLabV3Plus | UNet | UserNetwork:
    """Return the network of a configuration or a checkpoint, with random weights.

    It maps (B, `slices`, H, W) to logits (B, 3, H, W); H and W must be multiples of its `output_stride`.

    Args:
        architecture: `name`, one of `network_names()`, and arguments of that network; None means not given.
        slices: number of input slices, odd.

    Raises:
        ValueError: the network does not exist, or cannot be built with these arguments.

    >>> build_network({"name": "unet_2d", "output_stride": 8, "width": 4, "encoder": None}, slices=1).output_stride
    8
    """
    arguments = {key: value for key, value in architecture.items() if value is not None}
    name = arguments.pop("name", "deeplab")  # old checkpoints have no name
    if slices < 1 or slices % 2 == 0:
        raise ValueError(f"a network needs an odd number of slices, not {slices}")
    if name == "deeplab":
        from liverspleen.networks.deeplab import DeepLabV3Plus

        return DeepLabV3Plus(slices=slices, **_accepted(DeepLabV3Plus, name, arguments))
    if name in {"unet_2d", "unet_3d"}:
        from liverspleen.networks.unet import UNet  # MONAI's networks are slow to import

        return UNet(volumetric=name == "unet_3d", slices=slices, **_accepted(UNet, name, arguments))
    names = network_names()
    if name not in names:  # only modules of that folder are imported
        raise ValueError(f"network {name!r} does not exist, expected {', '.join(names[:-1])} or {names[-1]}")
    kind: type[UserNetwork] = importlib.import_module(f"{own.__name__}.{name}").Network
    return kind(slices=slices, **_accepted(kind, name, arguments))


def _accepted(kind: type, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments if the network accepts all of them."""
    if unknown := sorted(arguments.keys() - inspect.signature(kind).parameters.keys()):
        raise ValueError(f"network {name} does not accept {', '.join(unknown)}")
    return arguments
