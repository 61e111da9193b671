"""What a training shows: first what it does and how long that takes, then its progress."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, Final

import pytorch_lightning as pl
import torch

from liverspleen.data.module import SliceDataModule
from liverspleen.display import Display, duration
from liverspleen.errors import Issue, collapsed, counted
from liverspleen.organs import ORGANS
from liverspleen.processes import processor_name, say
from liverspleen.training.gauges import Gauges
from liverspleen.training.module import SegmentationModule
from liverspleen.training.pace import Pace

LONG_S: Final = 24 * 3600.0
"""Time from which a training on a CPU gets a warning."""


class Progress(pl.Callback):
    """Prints the facts of a training, measures its steps, and shows a bar or lines; only the first rank does.

    Args:
        start: number of steps that are already done.
        gauges: source of the learning rate.
        issues: list to which the warning about a long training is added.
    """

    def __init__(self, *, start: int, gauges: Gauges, issues: list[Issue]) -> None:
        self.start, self.gauges, self.issues = start, gauges, issues
        self.done = start
        self._display: Display | None = None  # of the first rank
        self._pace: Pace
        self._clock = 0.0
        self._said = False  # the expected end

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Print the facts and start the measurement."""
        if not trainer.is_global_zero:
            return
        for line in facts(trainer, module, self.done):
            say(f"train: {line}")
        self._pace = _pace(trainer)
        self._display = Display(trainer.max_steps, self._text(trainer), start=self.done, line=say)
        self._clock = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Add the time of a step after its last batch."""
        if self._display is None or (index + 1) % trainer.accumulate_grad_batches:
            return
        self.done += 1
        if self._pace.at_edge and trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()  # the host runs ahead of the device
        self._pace.add_step(self._lap())
        if not self._said and self._pace.measured:
            self._say_end(trainer)
        if self._display.due:
            self._display.show(self.done, self._text(trainer))

    def on_validation_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, index: int, dataloader_idx: int = 0
    ) -> None:
        """Show the progress of a validation in the same bar."""
        if self._display is not None and self._display.due:
            number = f"validation batch {index + 1} of {int(trainer.num_val_batches[0])}"
            self._display.show(self.done, f"{self._text(trainer)}, {number}")

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the result of a validation."""
        if self._display is None:
            return
        self._pace.validations_s.append(self._lap())
        self._display.show(self.done, self._text(trainer))

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the last state and end the bar."""
        if self._display is not None:
            self._display.show(self.done, self._text(trainer))
            self._display.close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """End the bar, so that the message of the exception starts a line."""
        if self._display is not None:
            self._display.close()

    def _lap(self) -> float:
        """Return the time since the last call."""
        before, self._clock = self._clock, time.monotonic()
        return self._clock - before

    def _text(self, trainer: pl.Trainer) -> str:
        parts = [f"step {self.done} of {trainer.max_steps}"]
        if self._pace.measured and (left := self._pace.left_s(self.done)):
            parts.append(f"{duration(left)} left")
        metrics = trainer.callback_metrics
        if "train/loss" in metrics:
            parts.append(f"loss {float(metrics['train/loss']):.4g}")
        if self.gauges.learning_rate is not None:
            parts.append(f"learning rate {self.gauges.learning_rate:.3g}")
        scores = [
            f"{one.key} {float(metrics[name]):.3f}" for one in ORGANS if (name := f"val/dss_{one.key}") in metrics
        ]
        parts += [f"DSS {', '.join(scores)}"] if scores else []
        return f"train: {', '.join(parts)}"

    def _say_end(self, trainer: pl.Trainer) -> None:
        """Print the time of a step and the expected end, and a warning if a CPU needs more than a day."""
        self._said = True
        step_s, left_s = self._pace.step_s, self._pace.left_s(self.done)
        assert step_s is not None  # both are measured
        assert left_s is not None
        end = f"{datetime.now() + timedelta(seconds=left_s):%Y-%m-%d %H:%M}"
        number = self._pace.validations_left(self.done)
        included = f", {counted(number, 'validation')} included" if number else ""
        first, last = (self.start + number for number in self._pace.window)
        say(
            f"train: {step_s:.3g} s per step, measured over steps {first} to {last}; "
            f"expected end {end}, in {duration(left_s)}{included}"
        )
        if trainer.strategy.root_device.type == "cpu" and left_s > LONG_S:
            issue = long_training(left_s, step_s)
            self.issues.append(issue)
            say(collapsed([issue])[0])


def long_training(left_s: float, step_s: float) -> Issue:
    """Return LS-TRN-029, a training that takes more than a day on a CPU."""
    message = f"the remaining steps take about {duration(left_s)} on this CPU, {step_s:.3g} s per step"
    hint = (
        "stop it, then use a GPU, or experiment=phantom or network=small, or a larger slices.pixel_mm= "
        "(such as 1.5), with another output="
    )
    return Issue("LS-TRN-029", message, hint, severity="warning")


def facts(trainer: pl.Trainer, module: pl.LightningModule, start: int) -> list[str]:
    """Return device, precision, parameters, data, and steps of a training, one line each."""
    data = _data(trainer)
    assert isinstance(module, SegmentationModule)
    parameters = sum(one.numel() for one in module.network.parameters())
    sides = [
        f"{side}: {counted(len(found.cases), 'case')}, {counted(len(found), 'slice')}"
        for side, found in (("training", data.training), ("validation", data.validation))
    ]
    total = trainer.max_steps
    return [
        f"device: {device_name(trainer.strategy.root_device, trainer.world_size)}; precision {trainer.precision}",
        f"network: {module.description['network']['name']} with {parameters:,} parameters",
        "; ".join(sides),
        f"steps: {start} of {total} done, {total - start} to do",
    ]


def device_name(device: torch.device, number: int) -> str:
    """Return the names of the devices of a training with `number` ranks."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"CPU {processor_name()} with {counted(torch.get_num_threads(), 'thread')}"
    return name if number == 1 else f"{number} x {name}"


def _data(trainer: pl.Trainer) -> SliceDataModule:
    data = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(data, SliceDataModule)
    return data


def _pace(trainer: pl.Trainer) -> Pace:
    data, accumulate = _data(trainer), trainer.accumulate_grad_batches
    batches = trainer.val_check_batch if data.validation.cases else None
    every = None if batches is None else int(batches) // accumulate
    step = data.batch_size * accumulate * trainer.world_size
    return Pace(trainer.max_steps, every, len(data.validation) / step)
