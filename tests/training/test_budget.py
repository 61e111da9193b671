"""`trainer.minutes`: the plan by hand, the measurement with a clock of the test, and trainings that keep their plan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import TINY, assert_same_result, train

from liverspleen.api import automatic
from liverspleen.api import training as api
from liverspleen.cli.main import main
from liverspleen.training import pilot as pilots
from liverspleen.training.budget import Costs, planned_steps
from liverspleen.training.interruption import interruptible
from liverspleen.training.pilot import Pilot

SLOW = Costs(startup_s=0.0, step_s=600.0, validation_s=0.0, checkpoint_s=0.0)
FAST = Costs(startup_s=0.0, step_s=60.0, validation_s=0.0, checkpoint_s=0.0)


def simulated_s(costs: Costs, steps: int, every: int) -> float:
    """Time of a training, event by event."""
    seconds = costs.startup_s
    for step in range(1, steps + 1):
        seconds += costs.step_s
        if step % min(every, steps) == 0:
            seconds += costs.validation_s + costs.checkpoint_s  # and best.ckpt
        if step % every == 0 or step == steps:
            seconds += costs.checkpoint_s  # last.ckpt
    return seconds


@pytest.mark.parametrize("every", [1, 7, 20, 1000])
def test_plan_is_the_largest_number_of_steps_that_ends_in_time(every: int) -> None:
    costs = Costs(startup_s=5.0, step_s=0.5, validation_s=10.0, checkpoint_s=1.0)
    for seconds in (5.0, 17.6, 60.0, 61.3, 200.0):
        planned = planned_steps(seconds, costs, every=every)
        ended = [steps for steps in range(1, 500) if simulated_s(costs, steps, every) <= seconds]
        assert planned == max(ended, default=0)
        for steps in range(planned, planned + 30):
            assert not steps or costs.seconds(steps, every=every) == pytest.approx(simulated_s(costs, steps, every))


def test_plan_of_a_started_training_has_only_the_remaining_costs() -> None:
    costs = Costs(startup_s=5.0, step_s=0.5, validation_s=10.0, checkpoint_s=1.0)
    # 100 s: start 5 s; steps 101 to 150 with a validation and two checkpoints 37 s; to 200 37 s more: 79 s;
    # one more checkpoint 1 s; 40 steps 20 s
    assert planned_steps(100.0, costs, every=50, start=100) == 240
    assert planned_steps(3.0, costs, every=50, start=100) == 100


class Clock:
    """A clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Batches:
    """A validation loader whose first batch takes 4 s and each further one 2 s."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __len__(self) -> int:
        return 30

    def __iter__(self) -> Iterator[int]:
        for index in range(len(self)):
            self.clock.now += 2 if index else 4
            yield index


def test_costs_are_those_of_the_clock(tmp_path: Path) -> None:
    clock = Clock()
    data = SimpleNamespace(val_dataloader=lambda: Batches(clock))
    pilot = Pilot(tmp_path, target_s=9.0, clock=clock)

    def save(file: Path) -> None:
        clock.now += 0.25
        file.write_bytes(b"checkpoint")

    trainer: Any = SimpleNamespace(
        accumulate_grad_batches=2,
        datamodule=data,
        should_stop=False,
        is_global_zero=True,
        strategy=SimpleNamespace(root_device=torch.device("cpu"), batch_to_device=lambda batch: batch),
        precision_plugin=SimpleNamespace(val_step_context=torch.no_grad),
        save_checkpoint=save,
    )
    module: Any = SimpleNamespace(eval=lambda: None, validation_step=lambda batch, index: None)
    pilot.setup(trainer, module, "fit")
    clock.now += 6.0  # until the first step
    with interruptible():  # which restores the signal handlers
        pilot.on_train_start(trainer, module)
    batch = 0
    for seconds in (30.0, 2.0, 4.0, 2.0, 6.0):  # the first one with compilation ends the warm-up
        assert not trainer.should_stop
        for _ in range(2):
            clock.now += seconds / 2
            pilot.on_train_batch_end(trainer, module, None, None, batch)
            batch += 1
        if trainer.should_stop:
            break
    pilot.on_train_end(trainer, module)
    # steps of 2, 4, 2 and 6 s: 8 s after three of them, 14 s after four; validation 4 + 29 x 2 s
    assert pilot.costs == Costs(startup_s=6.0, step_s=3.5, validation_s=62.0, checkpoint_s=0.25)
    assert not list(tmp_path.iterdir())


def length(cohort: Path, output: Path, *more: str, minutes: float = 45, every: int = 2) -> int:
    given = [f"trainer.minutes={minutes}", f"trainer.validate_every={every}", *more]
    return main(["train", f"cohort={cohort}", f"output={output}", *TINY, *given])


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Costs], None]:
    """Return a function that sets the result of the measurement, which is made and forgotten."""
    measured = automatic.measured_costs
    monkeypatch.setattr(pilots, "target_s", lambda seconds: 0.0)

    def set_costs(found: Costs) -> None:
        monkeypatch.setattr(api, "measured_costs", lambda *arguments: (measured(*arguments), found)[1])

    return set_costs


def at_step(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Send SIGTERM to this process in a step of the training, not of the measurement before it."""
    from liverspleen.training.module import SegmentationModule

    whole = SegmentationModule.training_step

    def training_step(self: Any, batch: Any, index: int) -> Any:
        if self.trainer.max_steps < 1000 and self.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, batch, index)

    monkeypatch.setattr(SegmentationModule, "training_step", training_step)


def test_planned_training_equals_one_of_that_number_of_steps_and_keeps_it_at_another_speed(
    box_cohort: Callable[..., Path],
    tmp_path: Path,
    costs: Callable[[Costs], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cohort, whole, cut = box_cohort(), tmp_path / "whole", tmp_path / "cut"
    recipe = ("network.dropout=0.3", "trainer.ema_decay=0.9", "trainer.accumulate=2", "trainer.batch_size=2")
    assert train(cohort, whole, *recipe, steps=4) == 0
    costs(SLOW)
    with monkeypatch.context() as patch:
        at_step(patch, 1)
        assert length(cohort, cut, *recipe) == 1
    assert "trainer.minutes=45: 4 steps planned (" in capsys.readouterr().out  # 4 x 600 s; 45 min have 2700 s
    costs(FAST)  # 44 steps on this machine
    assert length(cohort, cut, *recipe) == 0
    assert "trainer.minutes=45: 4 steps, as planned at the start" in capsys.readouterr().out
    assert_same_result(whole, cut)
    record = json.loads((cut / "run.json").read_text())
    assert record["decided"]["trainer.steps"] == record["config"]["trainer"]["steps"] == 4
    assert record["earlier"][0]["measured"]["planned_step_s"] == 600
    assert 0 < record["measured"]["used_minutes"] < 45
    assert length(cohort, cut, *recipe) == 0
    assert "has ended with all 4 steps; nothing to do" in capsys.readouterr().out


def test_plan_is_saved_before_the_first_step(
    box_cohort: Callable[..., Path], tmp_path: Path, costs: Callable[[Costs], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from liverspleen.training.module import SegmentationModule

    def die(self: Any, batch: Any, index: int) -> Any:
        raise SystemError("killed") if self.trainer.max_steps < 1000 else ValueError

    cohort, run = box_cohort(), tmp_path / "run"
    costs(SLOW)
    monkeypatch.setattr(api, "measured_costs", lambda *_: SLOW)
    monkeypatch.setattr(SegmentationModule, "training_step", die)
    assert length(cohort, run) == 1
    saved = torch.load(run / "last.ckpt", weights_only=True)
    assert (saved["global_step"], saved["minutes"], saved["liverspleen"]["steps"]) == (0, 45.0, 4)


def test_other_minutes_plan_the_rest_of_the_training_again(
    box_cohort: Callable[..., Path], tmp_path: Path, costs: Callable[[Costs], None], capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, run = box_cohort(), tmp_path / "run"
    assert train(cohort, run, "scheduler=constant", steps=2) == 0
    costs(SLOW)
    assert length(cohort, run, "scheduler=constant", minutes=25) == 0  # two further steps of 10 minutes
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 4
    capsys.readouterr()
    assert length(cohort, run, "scheduler=constant", minutes=0.0001) == 0  # less than the steps took
    assert "has ended with all 4 steps; nothing to do" in capsys.readouterr().out


def test_time_that_does_not_suffice_is_one_line(
    box_cohort: Callable[..., Path], tmp_path: Path, costs: Callable[[Costs], None], capsys: pytest.CaptureFixture[str]
) -> None:
    costs(SLOW)
    assert length(box_cohort(), tmp_path / "run", minutes=9) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    assert line.startswith("LS-TRN-043: trainer.minutes=9 does not suffice for one step: ")
    assert "it takes 600 s with its validation and checkpoints; use trainer.minutes=2" in line  # 20 or more
    assert not (tmp_path / "run/last.ckpt").exists()


@pytest.mark.slow
@pytest.mark.ddp
def test_ranks_have_one_plan_and_train_as_with_that_number_of_steps(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort = box_cohort()
    ranks = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.workers=0", "trainer.batch_size=2")
    base = ["train", f"cohort={cohort}", f"cache={tmp_path / 'cache'}", *TINY, *ranks, "trainer.validate_every=3"]

    def run(output: Path, length: str) -> None:
        command = [sys.executable, "-m", "liverspleen", *base, f"output={output}", length]
        known = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]

    for minutes in (0.5, 1, 2, 4):  # a busy machine needs long to start
        planned = tmp_path / f"planned{minutes}"
        with suppress(AssertionError):
            run(planned, f"trainer.minutes={minutes}")
            break
    steps = json.loads((planned / "run.json").read_text())["decided"]["trainer.steps"]
    run(tmp_path / "given", f"trainer.steps={steps}")
    assert_same_result(planned, tmp_path / "given")
