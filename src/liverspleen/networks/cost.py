"""What a network costs: parameters, and operations for one slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from liverspleen.networks.build import build_network


@dataclass(frozen=True)
class NetworkCost:
    """Size and work of a network.

    `parameters` are those that are trained. `flops` are of one forward pass for one slice of interest, 2 for a
    multiply-add, convolutions only: norms, activations and interpolation are bound by memory and not counted.
    """

    parameters: int
    flops: int


def network_cost(architecture: Mapping[str, Any], *, slices: int, matrix: int) -> NetworkCost:
    """Cost for slices of `matrix` x `matrix` pixels, from shapes alone: no weights are drawn, nothing is computed.

    Raises:
        ValueError: there is no such network, it cannot be built that way, or it cannot take that matrix.

    >>> network_cost({"name": "deeplab", "encoder": "resnet18"}, slices=3, matrix=64).parameters > 11_000_000
    True
    """
    with torch.device("meta"):
        network = build_network(architecture, slices=slices).eval()
        stack = torch.empty(1, slices, matrix, matrix)
    if matrix < 1 or matrix % network.output_stride:
        raise ValueError(f"a matrix of {matrix} is no multiple of the output stride {network.output_stride}")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(stack)
    return NetworkCost(sum(p.numel() for p in network.parameters()), counter.get_total_flops())
