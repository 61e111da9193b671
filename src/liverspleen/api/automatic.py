"""Values of a training that are decided when it starts: pixel size, precision and number of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from liverspleen import assemble
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import SIDES, Split
from liverspleen.config import TrainConfig, TrainerConfig
from liverspleen.data.pixel_size import median_pixel_mm, pixel_line
from liverspleen.display import duration
from liverspleen.errors import InputError, Issue, counted
from liverspleen.provenance import Run
from liverspleen.training.tasks import is_first_process

if TYPE_CHECKING:
    from liverspleen.data.cache import CachedCase
    from liverspleen.training.budget import Costs
    from liverspleen.training.recipe import Recipe
    from liverspleen.training.resumption import Resumption

Training = TypeVar("Training", bound=TrainConfig)
_PILOT_STEPS = 10**6  # the pilot ends by its time


@dataclass
class Decisions:
    """Adds decided values to a record, and prints them.

    `say` receives lines; `start` is the time of the clock (`time.monotonic`) at the start of the run.
    """

    record: Run
    say: Callable[[str], None]
    start: float

    @property
    def used_s(self) -> float:
        """Time of the run so far, in seconds."""
        return time.monotonic() - self.start

    def pixel_size(self, config: TrainConfig, cohort: Cohort, split: Split) -> TrainConfig:
        """Return the configuration with a number for `slices.pixel_mm=auto`, from the training cases."""
        if config.slices.pixel_mm != "auto":
            return config
        cases = split.cases(cohort, SIDES[0])
        found = median_pixel_mm(cases)  # None without a readable CT; the slice cache then rejects all cases
        self._say(pixel_line("slices.pixel_mm", found, len(cases)))
        return self._decided(config, "slices.pixel_mm", found)

    def precision(self, config: TrainConfig, recipe: Recipe, done: Resumption) -> tuple[TrainConfig, Recipe]:
        """Return configuration and recipe with a precision for `trainer.precision=auto`; a resumed training keeps it.

        Raises:
            InputError: LS-TRN-044 this device does not support the recorded precision.
        """
        if config.trainer.precision != "auto":
            return config, recipe
        found = precision_of(config.trainer) if done.recipe is None else done.recipe.keys["trainer.precision"]
        recorded = "" if done.checkpoint is None else f", as in {done.checkpoint.name}"
        self._say(f"trainer.precision=auto: {found}{recorded}")
        config = self._decided(config, "trainer.precision", found)
        if recorded and assemble.bf16_issues(config):
            message = f"the training was started with {found}, but this CPU has no instructions for bf16"
            hint = "resume it on a GPU, or train again from the start with another output="
            raise InputError(Issue("LS-TRN-044", message, hint, file=done.checkpoint))
        return config, replace(recipe, keys={**recipe.keys, "trainer.precision": found})

    def steps(self, config: TrainConfig, done: Resumption, measured: Callable[[], Costs]) -> TrainConfig:
        """Return the configuration with the planned number of steps for `trainer.minutes`; a resumed training keeps it.

        The plan of other minutes than the recorded ones continues the training, as another `trainer.steps` does.

        Raises:
            InputError: LS-TRN-043 the time does not suffice for one step.
        """
        minutes, every = config.trainer.minutes, config.trainer.validate_every
        if minutes is None:
            return config
        if done.checkpoint is not None and done.minutes == minutes:
            self._say(f"trainer.minutes={minutes:g}: {counted(done.planned, 'step')}, as planned at the start")
            return self._decided(config, "trainer.steps", done.planned)
        if 60 * minutes <= done.seconds:  # the steps so far took longer
            return self._decided(config, "trainer.steps", done.steps)
        from liverspleen.training.budget import plan_line, planned_steps, too_short
        from liverspleen.training.ranks import gathered

        costs = measured()
        used_s = self.used_s + done.seconds
        planned = planned_steps(60 * minutes - used_s, costs, every=every, start=done.steps)
        planned = gathered(planned)[0]  # the clocks of the ranks differ
        if not planned:
            if not is_first_process():
                raise SystemExit(0)
            raise too_short(minutes, costs, every=every, used_s=used_s)
        if planned <= (warmup := config.scheduler.warmup):
            message = f"trainer.minutes={minutes:g} suffices for {planned} steps, but scheduler.warmup={warmup}"
            raise InputError(Issue("LS-CFG-016", message, "set more minutes, or a smaller scheduler.warmup="))
        self._say(plan_line(minutes, costs, planned, every=every, used_s=used_s, start=done.steps))
        self.record.measured |= {f"planned_{name}": seconds for name, seconds in asdict(costs).items()}
        return self._decided(config, "trainer.steps", planned)

    def end(self, config: TrainConfig, done: Resumption) -> None:
        """Report the used time of a training whose steps were planned."""
        if config.trainer.minutes is not None:
            used_s = self.used_s + done.seconds
            self.record.measured["used_minutes"] = used_s / 60
            before = f", {duration(done.seconds)} of it in earlier runs" if done.seconds else ""
            self._say(f"trainer.minutes={config.trainer.minutes:g}: {used_s / 60:.2f} min used{before}")

    def _say(self, line: str) -> None:
        if is_first_process():
            self.say(line)

    def _decided(self, config: TrainConfig, name: str, value: object) -> TrainConfig:
        self.record.decided[name] = value
        return with_values(config, {name: value})


def precision_of(choice: TrainerConfig) -> str:
    """Return the precision of a new training: `auto` is bf16-mixed on a GPU that supports it, and 32-true elsewhere.

    Raises:
        InputError: LS-CFG-008 a GPU is requested, but there is none.
    """
    if choice.precision != "auto":
        return choice.precision
    import torch

    on_gpu = assemble.device(choice.accelerator).type == "cuda"
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"


def with_values(config: Training, values: Mapping[str, Any]) -> Training:
    """Return the configuration with other values, by dotted name.

    >>> from liverspleen.config import compose
    >>> given = compose("train", ["cohort=c.csv", "output=run"])
    >>> with_values(given, {"trainer.steps": 7, "seed": 3}).trainer.steps
    7
    """
    for name, value in values.items():
        group, _, key = name.rpartition(".")
        changed = replace(getattr(config, group), **{key: value}) if group else value
        config = replace(config, **{group or key: changed})
    return config


def measured_costs(
    config: TrainConfig, training: Sequence[CachedCase], validation: Sequence[CachedCase], about: dict[str, Any]
) -> Costs:
    """Return the times of a training, measured in a short one that is thrown away; arguments as in `assemble`."""
    from liverspleen.training.finite import FiniteGuard
    from liverspleen.training.fit import TrainingParts
    from liverspleen.training.pilot import Pilot, run_pilot

    minutes = config.trainer.minutes
    assert minutes is not None
    # most steps train all weights
    thawed = {} if config.freeze_steps is None else {"freeze": None, "freeze_steps": None}
    config = with_values(config, {"trainer.steps": _PILOT_STEPS, **thawed})

    def build(pilot: Pilot) -> TrainingParts:
        data = assemble.data_module(config, training, validation, start=0)
        data.limit_workers(config.trainer.devices)
        module = assemble.module(config, about)
        trainer = assemble.trainer(config, [FiniteGuard(), pilot], [], validate=False)
        return TrainingParts(trainer, module, data)

    return run_pilot(build, config.output, seconds=60 * minutes, seed=config.seed)
