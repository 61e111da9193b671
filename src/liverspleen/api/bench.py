"""Measure the time of training steps, with a configuration."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen import assemble
from liverspleen.api.automatic import precision_of, with_values
from liverspleen.config import BenchConfig
from liverspleen.errors import InputError, Issue
from liverspleen.provenance import recorded
from liverspleen.storage import write_json

if TYPE_CHECKING:
    import torch

    from liverspleen.data.cache import CachedCase
    from liverspleen.data.slices import SliceStack
    from liverspleen.training.throughput import TrainingStep

_NOISE_SLICES = 16
_SPACING_MM = 5.0  # paper: most slices are 5 mm
_PROFILED = 10  # additional steps under the profiler of the GPU


def run_bench(config: BenchConfig) -> dict[str, Any]:
    """Return medians of the parts of a step, rates and memory as plain values, and write them if a folder is given.

    Raises:
        InputError: LS-STO-007 the slice cache has no case; LS-STO-001 a stored case is damaged; the network cannot be
            built.
    """
    # the slices of a cache keep their pixel size
    settled = {"trainer.precision": precision_of(config.trainer), "slices.pixel_mm": None}
    config = with_values(config, settled)
    with tempfile.TemporaryDirectory() as scratch:
        if config.output is None:
            return _result(config, Path(scratch))
        with recorded("bench", config, config.output) as record:
            result = _result(config, Path(scratch))
            record.device = result["device"]
            write_json(record.output / "bench.json", result)
            record.outputs.append(record.output / "bench.json")
        return result


def _result(config: BenchConfig, scratch: Path) -> dict[str, Any]:
    from liverspleen.training.threads import default_threads, torch_threads

    cases = _cached(config.cache) if config.cache else [_noise_case(config, scratch)]
    with torch_threads(config.trainer.threads or default_threads(1)):
        return _measure(config, cases)


def _cached(cache: Path) -> list[CachedCase]:
    """Return all cases of a slice cache."""
    from liverspleen.data.cache import CachedCase
    from liverspleen.data.integrity import read_description, verify
    from liverspleen.data.maintenance import cached_folders

    folders = cached_folders(cache)
    if issues := [issue for folder in folders for issue in verify(folder)]:
        raise InputError(issues)
    cases = []
    for folder in folders:
        description = read_description(folder)
        shape, spacing_mm = tuple(description["shape"]), description["slice_spacing_mm"]
        cases.append(CachedCase(folder.name, folder.name, folder, shape, "", slice_spacing_mm=spacing_mm))
    if not cases:
        message, hint = "the slice cache has no stored case", "build it with liverspleen prepare, or remove cache="
        raise InputError(Issue("LS-STO-007", message, hint, file=cache))
    return cases


def _noise_case(config: BenchConfig, folder: Path) -> CachedCase:
    """Return a case of noise around soft tissue with a block of each organ; times do not depend on the content."""
    import numpy as np

    from liverspleen.data.cache import CachedCase
    from liverspleen.organs import ORGANS

    shape = (_NOISE_SLICES, config.matrix, config.matrix)
    edge = config.matrix // len(ORGANS)
    labels = np.zeros(shape, np.uint8)
    for place, organ in enumerate(ORGANS):
        block = slice(place * edge, (place + 1) * edge)
        labels[:, block, block] = organ
    np.save(folder / "labels.npy", labels)
    np.save(folder / "present.npy", np.ones((len(labels), len(ORGANS)), bool))
    np.save(folder / "slices.npy", np.random.default_rng(config.seed).normal(40, 60, shape).astype(np.int16))
    return CachedCase("made-up", "made-up", folder, shape, "", slice_spacing_mm=_SPACING_MM)


def _measure(config: BenchConfig, cases: Sequence[CachedCase]) -> dict[str, Any]:
    import torch

    from liverspleen.training.limits import copy_bytes_per_s, matmul_flops_per_s, work_of
    from liverspleen.training.throughput import busy_seconds, peak_memory_bytes, time_steps

    device = assemble.device(config.trainer.accelerator)
    torch.manual_seed(config.seed)
    previous = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(config.trainer.deterministic)
    torch.backends.cudnn.benchmark = assemble.cudnn_benchmark(config.trainer)
    try:
        step, batches = _step(config, device), _batches(config, cases)
        work = None if config.trainer.compile else work_of(lambda: step(next(batches), 0))
        times = time_steps(step, batches, warmup=config.warmup, steps=config.measured)
        peak = peak_memory_bytes(device)
        busy = busy_seconds(step, batches, steps=_PROFILED)
    finally:
        torch.use_deterministic_algorithms(previous[0])
        torch.backends.cudnn.benchmark = previous[1]
    dtype = step.autocast or torch.float32
    return {
        "network": assemble.architecture(config.network),
        "input": [config.trainer.batch_size, config.slices.count, *_matrix(cases)],
        "slices": "slice cache" if config.cache else "made up",
        "trainer": asdict(config.trainer),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "times": {**asdict(times), "bound": times.bound},
        "slices_per_s": config.trainer.batch_size / times.step_s,
        "busy_fraction": None if busy is None else busy / times.step_s,
        "peak_memory_bytes": peak,
        "work": None if work is None else asdict(work),
        "matmul_flops_per_s": matmul_flops_per_s(device, dtype),
        "copy_bytes_per_s": copy_bytes_per_s(device),
    }


def _matrix(cases: Sequence[CachedCase]) -> tuple[int, int]:
    """Return the size of the largest slice; smaller ones are padded to the largest of their batch."""
    return max(case.shape[1] for case in cases), max(case.shape[2] for case in cases)


def _step(config: BenchConfig, device: torch.device) -> TrainingStep:
    import torch

    from liverspleen.training.throughput import TrainingStep

    module = assemble.module(config, {}).to(device).train()
    configured = module.configure_optimizers()
    return TrainingStep(
        module.network,
        prepare=lambda batch, index: module.augmentation(module.window(batch.slices), batch.labels, seed=index),
        loss=lambda logits, labels, batch: module.loss(logits, labels, batch.labelled),
        optimizer=configured["optimizer"] if isinstance(configured, dict) else configured,
        device=device,
        autocast=torch.bfloat16 if config.trainer.precision == "bf16-mixed" else None,
        clip_norm=config.trainer.clip_norm,
    )


def _batches(config: BenchConfig, cases: Sequence[CachedCase]) -> Iterator[SliceStack]:
    """Return shuffled batches for all steps."""
    import torch

    from liverspleen.data.loader import loader
    from liverspleen.data.slices import Collate, SliceDataset

    slices, trainer = config.slices, config.trainer
    steps = 1 + config.warmup + config.measured + _PROFILED
    return iter(
        loader(
            SliceDataset(cases, slices=slices.count, distance_mm=slices.distance_mm),
            batch_size=trainer.batch_size,
            sampler=assemble.sampler(config)(cases, steps=steps, batch_size=trainer.batch_size, seed=config.seed),
            workers=trainer.workers,
            collate_fn=Collate(config.network.output_stride),
            pin_memory=torch.cuda.is_available() and trainer.accelerator != "cpu",
        )
    )
