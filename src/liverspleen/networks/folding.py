"""Batch norms taken into the convolutions before them: the same network in evaluation mode, with fewer passes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_ROUNDING = 1e-4  # of the largest logit: a hundred times what sums in another order come to
_PLACES = 4  # output strides along a side of the image by which the order of layers is found


class _Pair(NamedTuple):
    conv: nn.modules.conv._ConvNd
    norm: _BatchNorm


def fold_batch_norms(network: nn.Module, *, slices: int, stride: int) -> int:
    """Fold each batch norm into the convolution whose output it takes, in place; the number of those folded.

    The network must be in evaluation mode. A norm that takes anything else is left; an activation that is part of the
    norm (timm's) stays. Which convolution a norm follows is seen in one pass over an image of noise, so nothing is
    assumed about names. A second pass must give the same but for rounding, else the network is left as it was: what is
    done between layers cannot be seen.

    Args:
        network: (B, slices, H, W) to logits.
        slices: input channels.
        stride: height and width of an image must be multiples of it.

    Raises:
        ValueError: the network is in training mode.

    >>> layers = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU()).eval()
    >>> fold_batch_norms(layers, slices=1, stride=1), type(layers[1]).__name__
    (1, 'Identity')
    """
    if network.training:
        raise ValueError("batch norms are folded in evaluation mode only: in training they follow the batch")
    noise = torch.rand(1, slices, _PLACES * stride, _PLACES * stride, generator=torch.Generator().manual_seed(0))
    noise = noise.to(next(network.parameters()).device)
    with torch.inference_mode(), _full_precision():
        pairs, expected = _pairs(network, noise)
        before = [(pair.conv, pair.conv.weight, pair.conv.bias) for pair in pairs]
        places = [(parent, name, child) for parent in network.modules() for name, child in parent.named_children()]
        after = {pair.norm: _what_is_left(pair.norm) for pair in pairs}
    for pair in pairs:
        _fold(pair)
    for parent, name, child in places:
        setattr(parent, name, after.get(child, child))  # type: ignore[call-overload]
    with torch.inference_mode(), _full_precision():
        if (network(noise) - expected).abs().max() <= _ROUNDING * expected.abs().max():
            return len(pairs)
    for conv, weight, bias in before:
        conv.weight, conv.bias = weight, bias
    for parent, name, child in places:
        setattr(parent, name, child)
    return 0


def _full_precision() -> AbstractContextManager[None]:
    """Convolutions on a GPU without TF32, whose rounding would hide a fold that is wrong."""
    found: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return found


def _pairs(network: nn.Module, noise: Tensor) -> tuple[list[_Pair], Tensor]:
    """Convolutions and norms called once each, the norm on the very output of the convolution; the network's output."""
    made: dict[int, tuple[nn.Module, Tensor]] = {}  # outputs are kept, so that no two have one address
    calls: dict[nn.Module, int] = {}
    found: list[_Pair] = []

    def after_conv(module: Any, _: Any, output: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        made[id(output)] = module, output

    def before_norm(module: Any, given: tuple[Tensor]) -> None:
        calls[module] = calls.get(module, 0) + 1
        conv, _ = made.get(id(given[0]), (None, None))
        if conv is not None and module.running_var is not None:
            found.append(_Pair(conv, module))  # type: ignore[arg-type]

    hooks = []
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            hooks.append(module.register_forward_hook(after_conv))
        elif isinstance(module, _BatchNorm):
            hooks.append(module.register_forward_pre_hook(before_norm))
    try:
        output = network(noise)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in found if calls[pair.conv] == calls[pair.norm] == 1], output


def _fold(pair: _Pair) -> None:
    """Scale and shift of the norm into weight and bias, in float64."""
    conv, norm = pair
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.weight is not None:
        scale, shift = scale * norm.weight.double(), shift * norm.weight.double()
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    if conv.bias is not None:
        shift = shift + conv.bias.double() * scale
    weight = conv.weight.double() * scale.reshape(-1, *[1] * (conv.weight.ndim - 1))
    conv.weight = nn.Parameter(weight.detach().to(conv.weight.dtype))
    conv.bias = nn.Parameter(shift.detach().to(conv.weight.dtype))


def _what_is_left(norm: _BatchNorm) -> nn.Module:
    """Those of timm hold their activation."""
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()
