"""Measured limits of the machine, and the work of a training step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from liverspleen.training.throughput import Clock

_REPEATS = 7
_MATMUL_SIDE = {"cpu": 2048, "cuda": 8192}  # large enough that the rate no longer rises
_COPY_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}  # larger than any cache


@dataclass(frozen=True)
class Work:
    """Work of a step: operations (2 per multiply-add) of convolutions and matrix products, and bytes of memory.

    `bytes` counts every input and output of every operation once: the traffic without fusion and without caches.
    """

    flops: int
    bytes: int


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes that operations read and write; views have none."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            leaves = tree_leaves((args, kwargs, result))
            self.bytes += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, Tensor))
        return result


def _gradient_flops(
    output: Sequence[int],
    image: Sequence[int],
    weight: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    output_mask: Sequence[bool],
    **_: Any,
) -> int:
    """Return the operations of a convolution's backward pass: each of the two gradients has those of the forward pass.

    It replaces torch's own count, which counts the gradient of a grouped weight as that of a full one.
    """
    positions = (image if transposed else output)[2:]
    return 2 * output[0] * math.prod(positions) * math.prod(weight) * sum(output_mask[:2])


def work_of(run: Callable[[], object]) -> Work:
    """Run a function once and return its work; the network must not be compiled.

    >>> one = torch.ones(4, 4)
    >>> work_of(lambda: one @ one)  # 4 x 4 x 4 multiply-adds; three matrices of 64 bytes
    Work(flops=128, bytes=192)
    """
    counts = {torch.ops.aten.convolution_backward: _gradient_flops}
    with FlopCounterMode(display=False, custom_mapping=counts) as flops, _Traffic() as traffic:
        run()
    return Work(flops.get_total_flops(), traffic.bytes)


def matmul_flops_per_s(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Measure the rate of a large square matrix product, with 2 operations per multiply-add."""
    side = _MATMUL_SIDE[device.type]
    # random: with zeros some devices need less power and run faster
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _median_s(device, lambda: torch.mm(one, other))


def copy_bytes_per_s(device: torch.device) -> float:
    """Measure the rate of a large copy, bytes read plus bytes written."""
    source = torch.zeros(_COPY_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _median_s(device, lambda: target.copy_(source))


def _median_s(device: torch.device, run: Callable[[], object]) -> float:
    clock = Clock(device)
    for _ in range(_REPEATS + 2):  # two to warm up
        clock.mark()
        run()
    clock.mark()
    return median(clock.seconds()[2:])
