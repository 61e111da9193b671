"""What the machine could do at best, and how much of it a training step asks for."""

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
_COPY_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}  # beyond any cache


@dataclass(frozen=True)
class Work:
    """What a step asks for: operations (2 per multiply-add) of convolutions and matrix products; bytes of memory.

    `bytes` counts every input and output of every operation once: what is moved when nothing is fused or found in a
    cache.
    """

    flops: int
    bytes: int


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what operations read and write; views move nothing."""

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
    wanted: Sequence[bool],
    **_: Any,
) -> int:
    """Of a convolution's backward pass: each of the two gradients takes as many multiply-adds as the forward pass.

    In place of torch's own count, which takes the gradient of a grouped weight for that of a full one.
    """
    places = (image if transposed else output)[2:]
    return 2 * output[0] * math.prod(places) * math.prod(weight) * sum(wanted[:2])


def work_of(run: Callable[[], object]) -> Work:
    """Count the work of one call, which is made; the network must not be compiled.

    >>> one = torch.ones(4, 4)
    >>> work_of(lambda: one @ one)  # 4 x 4 x 4 multiply-adds; three matrices of 64 bytes
    Work(flops=128, bytes=192)
    """
    counts = {torch.ops.aten.convolution_backward: _gradient_flops}
    with FlopCounterMode(display=False, custom_mapping=counts) as flops, _Traffic() as traffic:
        run()
    return Work(flops.get_total_flops(), traffic.bytes)


def matmul_flops_per_s(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Measured rate of a large square matrix product, 2 operations per multiply-add."""
    side = _MATMUL_SIDE[device.type]
    # random: on zeros some devices draw less power and run faster
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / _median_s(device, lambda: torch.mm(one, other))


def copy_bytes_per_s(device: torch.device) -> float:
    """Measured rate of a large copy, bytes read and bytes written together."""
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
