"""Contenders of the training benchmark. Each runs in a separate process and makes training steps on request."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from liverspleen.data.augmentation import Augmentation
from liverspleen.data.window import IntensityWindow
from liverspleen.networks.deeplab import DeepLabV3Plus
from liverspleen.organs import NUM_CLASSES, ORGANS
from liverspleen.processes import has_bf16_instructions, keep_pages
from liverspleen.training.limits import work_of
from liverspleen.training.losses import CrossEntropy, Dice, SegmentationLoss
from liverspleen.training.throughput import (
    Row,
    TrainingStep,
    busy_seconds,
    medians,
    peak_memory_bytes,
    rows_of,
)

SLICES = 3
WINDOW = IntensityWindow(-1000.0, 400.0, clip=False)  # conf/slices/paper.yaml
AUGMENTATION = Augmentation(rotation_deg=6.0, scale=0.1, shift=0.05, gain=0.12, offset=0.08)  # conf/augmentation/affine
PROFILED_STEPS = 10


@dataclass(frozen=True)
class Contender:
    """A network, its execution options, and the source of its batches."""

    name: str
    library: str = "liverspleen"
    bf16: bool = False
    compiled: bool = False
    channels_last: bool = False
    keeps_pages: bool = False
    pipeline: bool = False
    """augmented batches from the slice cache; otherwise one batch is repeated"""

    def missing(self, device: str) -> str | None:
        """Return what is missing: a library, or instructions without which bfloat16 is a hundred times slower."""
        if self.bf16 and device == "cpu" and not has_bf16_instructions():
            return "bfloat16 instructions"
        module = {"smp": "segmentation_models_pytorch"}.get(self.library, self.library)
        return None if importlib.util.find_spec(module) else module


@dataclass(frozen=True)
class Task:
    """Settings of all contenders of a run."""

    device: str
    encoder: str
    matrix: int
    batch: int
    threads: int
    workers: int
    cache: Path


class Batch(NamedTuple):
    """The fields of a batch that a step needs."""

    slices: Tensor
    labels: Tensor
    labelled: Tensor


def step_of(contender: Contender, task: Task) -> TrainingStep:
    """Return network, loss and optimizer: ours as in `liverspleen train`, those of smp as in a usual loop."""
    device = torch.device(task.device)
    autocast = torch.bfloat16 if contender.bf16 else None
    order = torch.channels_last if contender.channels_last else torch.contiguous_format
    torch.manual_seed(0)
    if contender.library == "smp":
        import segmentation_models_pytorch as smp

        network = smp.DeepLabV3Plus(f"tu-{task.encoder}", encoder_weights=None, in_channels=3, classes=NUM_CLASSES)
        network = network.to(device, memory_format=order).train()
        return TrainingStep(
            network,
            prepare=lambda batch, _: (batch.slices.to(memory_format=order), batch.labels),
            loss=lambda logits, labels, _: functional.cross_entropy(logits, labels),
            optimizer=torch.optim.AdamW(network.parameters(), lr=1e-4),
            device=device,
            autocast=autocast,
        )
    network = DeepLabV3Plus(encoder=task.encoder, slices=SLICES).to(device, memory_format=order).train()
    if contender.compiled:
        network.compile()
    loss = SegmentationLoss([(1.0, Dice()), (1.0, CrossEntropy())])  # conf/loss/dice_ce.yaml

    def prepare(batch: Any, index: int) -> tuple[Tensor, Tensor]:
        slices = WINDOW(batch.slices)
        return AUGMENTATION(slices, batch.labels, seed=index) if contender.pipeline else (slices, batch.labels)

    return TrainingStep(
        network,
        prepare=prepare,
        loss=lambda logits, labels, batch: loss(logits, labels, batch.labelled),
        optimizer=torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True),
        device=device,
        autocast=autocast,
    )


def batches_of(contender: Contender, task: Task) -> Iterator[Any]:
    """Yield batches from the slice cache, or one synthetic batch; that of smp is float and already on the device."""
    shape = (task.batch, SLICES, task.matrix, task.matrix)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(NUM_CLASSES, (task.batch, *shape[2:]), generator=generator)
    labelled = torch.ones(task.batch, len(ORGANS), dtype=torch.bool)
    if contender.pipeline:
        yield from _loader(task)
    elif contender.library == "smp":
        device = torch.device(task.device)
        batch = Batch(torch.rand(shape, generator=generator).to(device), labels.to(device), labelled)
    else:
        hu = torch.randint(-1000, 400, shape, generator=generator, dtype=torch.int16)
        batch = Batch(hu, labels.to(torch.uint8), labelled)
        batch = Batch(*(tensor.pin_memory() for tensor in batch)) if task.device == "cuda" else batch
    while True:
        yield batch


def _loader(task: Task) -> Iterator[Any]:
    """Return batches of shuffled slices of the slice cache, as a training reads them."""
    from slices import cached_cases
    from torch.utils.data import DataLoader

    from liverspleen.data.sampling import natural
    from liverspleen.data.slices import Collate, SliceDataset

    cases = cached_cases(task.cache)
    return iter(
        DataLoader(
            SliceDataset(cases, slices=SLICES),
            batch_size=task.batch,
            sampler=natural(cases, steps=100_000, batch_size=task.batch, seed=0),
            num_workers=task.workers,
            collate_fn=Collate(16),
            pin_memory=task.device == "cuda",
        )
    )


def serve(contender: Contender, task: Task, pipe: Connection) -> None:
    """Run a contender: warm up, make as many steps as each received number, send the results after a 0."""
    warnings.simplefilter("ignore")  # deprecations of the libraries
    if contender.keeps_pages:
        keep_pages()
    torch.set_num_threads(task.threads)
    step, batches = step_of(contender, task), batches_of(contender, task)
    cuda = task.device == "cuda"
    torch.backends.cudnn.benchmark = cuda  # every batch has the same shape
    work = None if contender.compiled else work_of(lambda: step(next(batches), 0))  # the first warm-up step
    rows_of(step, batches, steps=10 if cuda else int(contender.compiled))
    pipe.send(None)
    if cuda:
        torch.cuda.reset_peak_memory_stats()  # the search for algorithms needed more
    rows: list[Row] = []
    while steps := pipe.recv():
        new = rows_of(step, batches, steps=steps)
        rows += new
        pipe.send([row.step_s for row in new])
    times = medians(rows, overlaps=cuda)
    peak, busy = peak_memory_bytes(step.device), busy_seconds(step, batches, steps=PROFILED_STEPS)
    pipe.send(
        {
            "median_step_s": times.step_s,
            "load_s": times.load_s,
            "parts_s": times.parts_s,
            "idle_s": times.idle_s,
            "bound": times.bound,
            "busy_fraction": None if busy is None else busy / times.step_s,
            "peak_memory_bytes": peak,
            "work": None if work is None else asdict(work),
        }
    )


class Runner:
    """The process of a contender."""

    def __init__(self, contender: Contender, task: Task) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(contender, task, other))
        self._process.start()
        other.close()  # if the process ends, recv raises EOFError
        self._pipe.recv()

    def steps(self, count: int) -> list[float]:
        """Make `count` steps and return the seconds of each."""
        self._pipe.send(count)
        seconds: list[float] = self._pipe.recv()
        return seconds

    def finish(self) -> dict[str, Any]:
        """Return the results and end the process."""
        self._pipe.send(0)
        report: dict[str, Any] = self._pipe.recv()
        self._process.join()
        return report
