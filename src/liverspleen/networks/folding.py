"""Folding of batch norms into the preceding convolutions: the same network in evaluation mode, but faster."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_ROUNDING = 1e-4  # of the largest logit: a hundred times the rounding error of another order of sums
_PLACES = 4  # edge of the test image in output strides


class _Pair(NamedTuple):
    conv: nn.modules.conv._ConvNd
    norm: _BatchNorm


def fold_batch_norms(network: nn.Module, *, slices: int, stride: int) -> int:
    """Fold each batch norm into the convolution whose output is its input, in place; return the number of folded norms.

    The network must be in evaluation mode. Other norms are unchanged, and an activation that is part of a norm (in
    timm) is kept. One pass over an image of noise shows which convolution a norm follows, so no names of layers are
    assumed. A second pass must give the same logits except for rounding, else the network is restored, because
    operations between layers are not visible.

    Args:
        network: maps (B, slices, H, W) to logits.
        slices: input channels.
        stride: height and width of an image must be multiples of it.

    Raises:
        ValueError: the network is in training mode.

    >>> layers = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU()).eval()
    >>> fold_batch_norms(layers, slices=1, stride=1), type(layers[1]).__name__
    (1, 'Identity')
    """
    if network.training:
        raise ValueError("network is in training mode, expected evaluation mode")
    noise = torch.rand(1, slices, _PLACES * stride, _PLACES * stride, generator=torch.Generator().manual_seed(0))
    noise = noise.to(next(network.parameters()).device)
    with torch.inference_mode(), _full_precision():
        pairs, expected = _pairs(network, noise)
        before = [(pair.conv, pair.conv.weight, pair.conv.bias) for pair in pairs]
        places = [(parent, name, child) for parent in network.modules() for name, child in parent.named_children()]
        after = {pair.norm: _replacement(pair.norm) for pair in pairs}
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
    """Return a context without TF32, whose rounding would hide a wrong fold on a GPU."""
    context: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return context


def _pairs(network: nn.Module, noise: Tensor) -> tuple[list[_Pair], Tensor]:
    """Return pairs of convolution and norm, each called once, the norm on its output; and the network's output."""
    outputs: dict[int, tuple[nn.Module, Tensor]] = {}  # holds the tensors, so that no two have one id
    calls: dict[nn.Module, int] = {}
    found: list[_Pair] = []

    def after_conv(module: Any, _: Any, output: Tensor) -> None:
        calls[module] = calls.get(module, 0) + 1
        outputs[id(output)] = module, output

    def before_norm(module: Any, inputs: tuple[Tensor]) -> None:
        calls[module] = calls.get(module, 0) + 1
        conv, _ = outputs.get(id(inputs[0]), (None, None))
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
    """Multiply scale and shift of the norm into weight and bias, in float64."""
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


def _replacement(norm: _BatchNorm) -> nn.Module:
    """Return the module that replaces a folded norm: its activation (in timm), else an identity."""
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()
