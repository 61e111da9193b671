"""Transfer of slices to the device and of results to the host; on a GPU both overlap with the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BUFFERS = 4  # number of pinned slices
_AHEAD = 2  # largest number of batches that the host is ahead of the device, which limits the memory on both


class Uploads:
    """Upload of slices in HU to the device; on CUDA with pinned buffers and a separate stream."""

    def __init__(self, device: torch.device, shape: tuple[int, int]) -> None:
        self._device = device
        self._turn = 0
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._buffers = [torch.empty(shape, dtype=torch.int16, pin_memory=True) for _ in range(_BUFFERS)]
            self._copied = [torch.cuda.Event() for _ in range(_BUFFERS)]  # type: ignore[no-untyped-call]

    def __call__(self, hu: NDArray[np.int16]) -> Tensor:
        """Return the slice (row, column) as a tensor on the device, for its current stream."""
        if self._device.type != "cuda":
            return torch.from_numpy(np.require(hu, requirements=("C", "W"))).to(self._device)
        slot = self._turn % _BUFFERS
        self._turn += 1
        self._copied[slot].synchronize()  # wait until the previous content of the buffer is copied
        self._buffers[slot].numpy()[:] = hu
        with torch.cuda.stream(self._stream):
            uploaded = self._buffers[slot].to(self._device, non_blocking=True)
            self._copied[slot].record(self._stream)
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        uploaded.record_stream(current)
        return uploaded


class Downloaded(NamedTuple):
    """Downloaded results (kinds, slices, row, column) of the slices from `start`."""

    start: int
    values: NDArray[Any]


class Downloads:
    """Download of labels or probabilities from the device, in the order in which they were sent."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pending: deque[tuple[int, Tensor, Any]] = deque()
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def send(self, start: int, values: Tensor) -> None:
        """Start the download of results (kinds, slices, row, column) of the slices from `start`."""
        if self._stream is None:
            self._pending.append((start, values, None))
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            pinned = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            pinned.copy_(values, non_blocking=True)
            values.record_stream(self._stream)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(self._stream)
        self._pending.append((start, pinned, arrived))

    def arrived(self, *, wait_for_all: bool = False) -> Iterator[Downloaded]:
        """Yield downloaded results; wait until at most `_AHEAD` downloads are pending, or for all of them."""
        ahead = 0 if wait_for_all or self._stream is None else _AHEAD
        while len(self._pending) > ahead:
            start, values, event = self._pending.popleft()
            if event is not None:
                event.synchronize()
            yield Downloaded(start, values.cpu().numpy())
