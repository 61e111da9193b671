"""The trainings of the study: their commands, and how they are run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cohorts import split_file
from settings import Settings

from liverspleen.studies import run_command

FINETUNED_LR: Final = 5e-4
"""A tenth of the rate of `experiment=phantom`."""

PARENT, START, FEW, MANY = "parent", "start_few", "few", "many"
ARMS: Final = ((PARENT, MANY), (START, FEW))
"""The trainings of a seed; those of a pair run at the same time, and the second pair starts from the first one."""


@dataclass(frozen=True)
class Arm:
    """One training of a seed."""

    name: str
    seed: int

    def folder(self, settings: Settings) -> Path:
        """Return its output folder."""
        return settings.output / "models" / f"{self.name}-seed{self.seed}"

    def checkpoint(self, settings: Settings) -> Path:
        """Return its last state; best.ckpt was selected on the test cases, and is not used."""
        return self.folder(settings) / "last.ckpt"

    def training_cases(self, settings: Settings) -> range:
        """Return the numbers of its training cases; each seed has its own few cases."""
        first = self.seed * settings.few
        return range(first, first + settings.few) if self.name in (START, FEW) else range(settings.cases)

    def overrides(self, settings: Settings) -> list[str]:
        """Return the arguments of `liverspleen train`."""
        population = "old" if self.name == PARENT else "new"
        table = "old" if self.name == PARENT else "watched"
        every = settings.steps if self.name == PARENT else settings.validate_every
        start = Arm(PARENT, self.seed).checkpoint(settings)
        recipe = _finetuned(settings, start) if self.name == START else ["experiment=phantom"]
        return [
            *recipe,
            f"cohort={settings.output / 'phantoms' / table}.csv",
            f"split={split_file(settings, population, self.training_cases(settings))}",
            f"output={self.folder(settings)}",
            f"seed={self.seed}",
            f"trainer.validate_every={min(every, settings.steps)}",
            *_common(settings),
        ]


def _finetuned(settings: Settings, start: Path) -> list[str]:
    frozen = min(200, max(settings.steps // 5, 1))  # 200 are those of the experiment
    steps = [f"freeze_steps={frozen}", f"scheduler.warmup={frozen}"]
    same = ["network=small", "slices=abdomen", "trainer=cpu", f"optimizer.lr={FINETUNED_LR}"]
    return [f"start={start}", "experiment=finetune", *same, *steps]


def _common(settings: Settings) -> list[str]:
    steps = [f"trainer.steps={settings.steps}", "trainer.batch_size=8", "trainer.threads=1"]
    return [*steps, f"cache={settings.output / 'cache'}"]


def train(arms: Sequence[Arm], settings: Settings) -> None:
    """Run the trainings, `workers=` at once; interrupted ones are resumed.

    Raises:
        InputError: LS-EXP-030, a training failed.
    """
    with ThreadPoolExecutor(settings.workers) as pool:
        list(pool.map(partial(_train, settings=settings), arms))


def _train(arm: Arm, settings: Settings) -> None:
    run(arm.overrides(settings), arm.folder(settings))


def train_folds(settings: Settings) -> Path:
    """Cross-validate on the new training cases at seed 0, and return the ensemble package."""
    output = settings.output / "cross_validation"
    overrides = ["experiment=phantom", f"cohort={settings.output / 'phantoms' / 'new.csv'}", f"output={output}"]
    every = f"trainer.validate_every={settings.steps}"
    folds = [f"folds={settings.folds}", f"workers={settings.workers}", "seed=0"]
    run([*overrides, *folds, every, *_common(settings)], output)
    return output / "ensemble"


def run(overrides: Sequence[str], folder: Path) -> None:
    """Run `liverspleen train`; its output is added to `FOLDER.log`.

    Raises:
        InputError: LS-EXP-030, it failed.
    """
    print(f"train {folder}", flush=True)
    run_command([sys.executable, "-m", "liverspleen", "train", *overrides], folder.with_name(f"{folder.name}.log"))
