"""Slices to the device and label slices back: on a GPU both hide behind the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BUFFERS = 4  # pinned slices under way
_AHEAD = 2  # batches that the host is ahead of the device at most, which bounds the memory on both


class Uploads:
    """Slices of HU to tensors on the device, on CUDA through pinned buffers and a stream of their own."""

    def __init__(self, device: torch.device, shape: tuple[int, int]) -> None:
        self._device = device
        self._turn = 0
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._buffers = [torch.empty(shape, dtype=torch.int16, pin_memory=True) for _ in range(_BUFFERS)]
            self._taken = [torch.cuda.Event() for _ in range(_BUFFERS)]  # type: ignore[no-untyped-call]

    def __call__(self, hu: NDArray[np.int16]) -> Tensor:
        """The slice, (row, column), for the device's current stream."""
        if self._device.type != "cuda":
            return torch.from_numpy(np.require(hu, requirements=("C", "W"))).to(self._device)
        place = self._turn % _BUFFERS
        self._turn += 1
        self._taken[place].synchronize()  # the copy that was made of the buffer before
        self._buffers[place].numpy()[:] = hu
        with torch.cuda.stream(self._stream):
            there = self._buffers[place].to(self._device, non_blocking=True)
            self._taken[place].record(self._stream)
        now = torch.cuda.current_stream(self._device)
        now.wait_stream(self._stream)
        there.record_stream(now)
        return there


class Downloaded(NamedTuple):
    """Labels that have arrived: of slices from `start` on, as many kinds of them as were sent."""

    start: int
    labels: NDArray[np.uint8]


class Downloads:
    """Label slices from the device, in the order in which they were sent."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._under_way: deque[tuple[int, Tensor, Any]] = deque()
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def send(self, start: int, labels: Tensor) -> None:
        """Send uint8 labels (kinds, slices, row, column) of slices from `start` on."""
        if self._stream is None:
            self._under_way.append((start, labels, None))
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            here = torch.empty(labels.shape, dtype=labels.dtype, pin_memory=True)
            here.copy_(labels, non_blocking=True)
            labels.record_stream(self._stream)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(self._stream)
        self._under_way.append((start, here, arrived))

    def arrived(self, *, all_of_them: bool = False) -> Iterator[Downloaded]:
        """What has arrived, waited for as far as the host would be too far ahead, or to the end."""
        left = 0 if all_of_them or self._stream is None else _AHEAD
        while len(self._under_way) > left:
            start, labels, event = self._under_way.popleft()
            if event is not None:
                event.synchronize()
            yield Downloaded(start, labels.cpu().numpy())
