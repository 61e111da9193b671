"""Cost of a network: parameters, and operations for one slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from liverspleen.networks.build import build_network


@dataclass(frozen=True)
class NetworkCost:
    """Numbers of parameters and operations of a network.

    `parameters` are the trained ones. `flops` are those of one forward pass for one slice of interest, 2 for a
    multiply-add, of convolutions only: norms, activations and interpolation are memory-bound and not counted.
    """

    parameters: int
    flops: int


def network_cost(architecture: Mapping[str, Any], *, slices: int, matrix: int) -> NetworkCost:
    """Return the cost for slices of `matrix` x `matrix` pixels, from shapes only: no weights are initialised.

    Raises:
        ValueError: the network does not exist, cannot be built with these arguments, or does not accept that matrix.

    >>> network_cost({"name": "deeplab", "encoder": "resnet18"}, slices=3, matrix=64).parameters > 11_000_000
    True
    """
    with torch.device("meta"):
        network = build_network(architecture, slices=slices).eval()
        stack = torch.empty(1, slices, matrix, matrix)
    if matrix < 1 or matrix % network.output_stride:
        raise ValueError(f"a matrix of {matrix} is not a multiple of the output stride {network.output_stride}")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(stack)
    return NetworkCost(sum(p.numel() for p in network.parameters()), counter.get_total_flops())
