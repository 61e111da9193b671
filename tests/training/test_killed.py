"""A training that is killed repeatedly gives the result of an uninterrupted one, bit for bit."""

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from tiny import assert_same_result, train, words

from liverspleen.cli.main import main

pytestmark = [pytest.mark.ddp, pytest.mark.slow]
STEPS, EVERY = 30, 4
PLACES = ("half a checkpoint", "checkpoint not yet under its name", "validation", "batch", "before validation's rows")


def run_until(place: str, count: int, delay_s: float, command: list[str]) -> None:
    """Run `command`, and die `delay_s` after the `count`-th visit to `place`."""
    from liverspleen.training import checkpoint_files
    from liverspleen.training.module import SegmentationModule

    left = count

    def die(*_: object, **__: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            if delay_s:
                threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    def before(owner: object, name: str) -> None:
        whole = getattr(owner, name)
        setattr(owner, name, lambda *a, **k: (die(), whole(*a, **k))[1])

    def half_saved(content: object, file: BinaryIO) -> None:
        whole_save(content, file)
        if left == 1:
            file.truncate(file.tell() // 2)
        die()

    if place == "half a checkpoint":
        whole_save = torch.save
        checkpoint_files.torch.save = half_saved  # type: ignore[assignment]
    elif place == "checkpoint not yet under its name":
        before(checkpoint_files, "read_checkpoint")
    elif place == "validation":
        before(SegmentationModule, "validation_step")
    elif place == "batch":
        before(SegmentationModule, "on_before_optimizer_step")
    elif place == "before validation's rows":
        before(SegmentationModule, "on_validation_epoch_end")
    raise SystemExit(main(command))


def test_training_killed_at_12_moments_gives_the_uninterrupted_result(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    rate = ("optimizer=sgd", "scheduler=cosine", "scheduler.warmup=9", "trainer.clip_norm=0.5", "augmentation=strong")
    other = ("network.dropout=0.3", "trainer.ema_decay=0.9", "loss.class_weights={spleen: 4}")
    recipe = (*rate, *other, f"cache={tmp_path / 'cache'}")
    cohort, whole, cut = box_cohort(), tmp_path / "whole", tmp_path / "cut"
    assert train(cohort, whole, *recipe, steps=STEPS, every=EVERY) == 0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["liverspleen.assemble", "liverspleen.training.checkpoints", "timm", "monai"])
    command = words(cohort, cut, *recipe, steps=STEPS, every=EVERY)
    draw, killed, held = random.Random(0), 0, set[int]()
    while killed < 12:
        if killed < len(PLACES):
            moment = (PLACES[killed], draw.randint(1, 3), 0.0)
        else:  # anywhere: batches are counted, so that a slow machine is killed as far on its way as a fast one
            moment = ("batch", draw.randint(1, 2 * EVERY), draw.uniform(0, 0.3))
        process = context.Process(target=run_until, args=(*moment, command))
        process.start()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            killed += 1
            if (cut / "last.ckpt").exists():
                held.add(torch.load(cut / "last.ckpt", weights_only=True)["global_step"])
            continue
        assert process.exitcode == 0
        assert_same_result(whole, cut)  # it has finished: start a new one
        for file in cut.iterdir():
            if file.is_file():
                file.unlink()
    assert main(command) == 0
    assert_same_result(whole, cut)
    assert not list(cut.glob(".part-*"))
    assert len(held) >= 4, held  # killed during the training, not at the start
