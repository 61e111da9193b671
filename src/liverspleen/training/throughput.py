"""Time of the parts of a training step, measured on the device, and the bottleneck."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

if TYPE_CHECKING:
    from liverspleen.data.slices import SliceStack

PARTS = ("transfer", "augment", "forward", "backward", "optimizer")
"""Parts of a step on the device, in order; `load` comes before them, and `idle` is the remaining time."""

WAITING = 0.1  # fraction of a step from which waiting counts as the bottleneck


@dataclass(frozen=True)
class TrainingStep:
    """One step of a training, without logging and checkpoints.

    Args:
        network: maps intensities (B, slices, H, W) to logits.
        prepare: maps a batch on the device and the number of the step to intensities and labels.
        loss: maps logits, labels and the batch to a scalar.
        optimizer: optimizer of the network's parameters.
        device: device of the training.
        autocast: type of `torch.autocast`; None: full precision.
        clip_norm: largest norm of the gradient; None: no limit.
    """

    network: nn.Module
    prepare: Callable[[SliceStack, int], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor, SliceStack], Tensor]
    optimizer: Optimizer
    device: torch.device
    autocast: torch.dtype | None = None
    clip_norm: float | None = None

    def __call__(self, batch: SliceStack, index: int, mark: Callable[[], None] = lambda: None) -> Tensor:
        """Run a step and return the loss before it; `mark` is called before the first part and after each part."""
        mark()
        batch = type(batch)(*(tensor.to(self.device, non_blocking=True) for tensor in batch))
        mark()
        slices, labels = self.prepare(batch, index)
        mark()
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            loss = self.loss(self.network(slices), labels, batch)
        mark()
        loss.backward()  # type: ignore[no-untyped-call]
        mark()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        mark()
        return loss.detach()


class Clock:
    """Time marks: CUDA events, which do not block the device, or the clock of the host."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[Any] = []

    def mark(self) -> None:
        """Add a mark."""
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(perf_counter())

    def seconds(self) -> list[float]:
        """Wait for the device and return the times between consecutive marks."""
        pairs = pairwise(self._marks)
        if not self._cuda:
            return [last - first for first, last in pairs]
        torch.cuda.synchronize()
        return [first.elapsed_time(last) / 1000 for first, last in pairs]


@dataclass(frozen=True)
class StepTimes:
    """Medians over the measured steps, in seconds.

    `load` is the time that the host waits for a batch. On a GPU it overlaps with the work of the device and counts only
    while the device is `idle`. `idle` is the median step minus the parts.

    >>> parts = {"transfer": 0.0, "augment": 0.1, "forward": 0.3, "backward": 0.5, "optimizer": 0.1}
    >>> waiting = StepTimes(step_s=2.0, load_s=1.0, parts_s=parts, idle_s=0.0, steps=9, overlaps=False)
    >>> waiting.bound, StepTimes(step_s=1.0, load_s=0.9, parts_s=parts, idle_s=0.0, steps=9, overlaps=True).bound
    ('loader', 'compute')
    """

    step_s: float
    load_s: float
    parts_s: dict[str, float]
    idle_s: float
    steps: int
    overlaps: bool
    """whether loading happens while the device works"""

    @property
    def bound(self) -> str:
        """Bottleneck: `loader`, `host` (the device waits for launches by the host), or `compute`."""
        waiting = min(self.load_s, self.idle_s) if self.overlaps else self.load_s
        if waiting >= WAITING * self.step_s:
            return "loader"
        return "host" if self.idle_s >= WAITING * self.step_s else "compute"


class Row(NamedTuple):
    """Seconds of one step: wait for the batch, step from the end of the last one, parts."""

    load_s: float
    step_s: float
    parts_s: list[float]


def time_steps(step: TrainingStep, batches: Iterator[SliceStack], *, warmup: int, steps: int) -> StepTimes:
    """Return medians over `steps` steps after `warmup` steps (compilation, memory, choice of algorithms)."""
    rows_of(step, batches, steps=warmup)
    return medians(rows_of(step, batches, steps=steps), overlaps=step.device.type == "cuda")


def medians(rows: Sequence[Row], *, overlaps: bool) -> StepTimes:
    """Return the median of each part; `idle` is the median step minus these."""
    parts = {name: median(row.parts_s[i] for row in rows) for i, name in enumerate(PARTS)}
    load_s, step_s = median(row.load_s for row in rows), median(row.step_s for row in rows)
    idle_s = max(step_s - sum(parts.values()) - (0.0 if overlaps else load_s), 0.0)
    return StepTimes(step_s, load_s, parts, idle_s, len(rows), overlaps)


def rows_of(step: TrainingStep, batches: Iterator[SliceStack], *, steps: int) -> list[Row]:
    """Run `steps` steps and return their times; on a GPU the host runs ahead as in a training, and waits at the end."""
    if step.device.type == "cuda":
        torch.cuda.synchronize()
    clock, loads = Clock(step.device), []
    clock.mark()
    for index in range(steps):
        start = perf_counter()
        batch = next(batches)
        loads.append(perf_counter() - start)
        step(batch, index, clock.mark)
    spans, width = clock.seconds(), len(PARTS) + 1  # from the end of a step to the start of the next, then the parts
    each = [spans[at : at + width] for at in range(0, len(spans), width)]
    return [Row(load, sum(row), row[1:]) for load, row in zip(loads, each, strict=True)]


def busy_seconds(step: TrainingStep, batches: Iterator[SliceStack], *, steps: int) -> float | None:
    """Return the time per step in which the GPU runs a kernel or a copy, by its profiler; None on a CPU.

    The busy fraction is this time divided by the time of a step without the profiler.
    """
    if step.device.type != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for index in range(steps):
            step(next(batches), index)
        torch.cuda.synchronize()
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in profiler.events()
        # annotations of the host (such as an optimizer's step) are on the device's timeline too
        if event.device_type.name == "CUDA" and not getattr(event, "is_user_annotation", False)
    ]
    return covered(spans) / 1e6 / steps


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of intervals.

    >>> covered([(0, 2), (5, 6), (1, 3)])
    4.0
    """
    total, reached = 0.0, -float("inf")
    for first, last in sorted(spans):
        total += max(last - max(first, reached), 0)
        reached = max(reached, last)
    return total


def peak_memory_bytes(device: torch.device) -> int | None:
    """Return the peak memory: allocated by torch on a GPU, resident in the process on a CPU; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")  # getrusage would include the peak of the parent process
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
