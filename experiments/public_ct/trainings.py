"""Our trainings, from scratch and from the start model, and their label maps of the test patients."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plan import START, Cell
from settings import DEVICES, LOWER_RATE, Settings

from liverspleen import api
from liverspleen.cohort import DEVELOPMENT
from liverspleen.errors import InputWarning
from liverspleen.studies import run_command

CLOCK: Final = Path(__file__).with_name("clocked.py")


@dataclass(frozen=True)
class Time:
    """Seconds of a training command, from its start to its end."""

    wall_s: float
    processor_s: float

    def counted(self, device: str) -> float:
        """Return the seconds that are compared: processor time on a CPU, and wall time on a GPU."""
        return self.processor_s if device == "cpu" else self.wall_s


def time_of(cell: Cell, settings: Settings) -> Time:
    """Return the time of a finished training."""
    return Time(**json.loads((cell.folder(settings) / "time.json").read_text(encoding="utf-8")))


def run_clocked(cell: Cell, settings: Settings, python: Path | str, module: str, arguments: Sequence[str], **more: str):
    """Run a training unless it is finished, and record its time; `more` are environment variables.

    Raises:
        InputError: LS-EXP-030, it failed.
    """
    folder = cell.folder(settings)
    if (folder / "finished").exists():
        return
    print(f"train {folder}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(CLOCK), str(folder / "time.json"), module, *arguments]
    threads = {name: str(settings.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    run_command(command, folder / "log.txt", environment=threads | more)
    (folder / "finished").touch()


def train(cell: Cell, settings: Settings) -> None:
    """Run a training of ours, or resume it.

    Raises:
        InputError: LS-EXP-030, it failed.
    """
    run_clocked(cell, settings, sys.executable, "liverspleen", ["train", *overrides(cell, settings)])


def overrides(cell: Cell, settings: Settings) -> list[str]:
    """Return the arguments of `liverspleen train`.

    The test patients are the validation side, so that `train` rejects a start model that was trained on one of them.
    They are validated once, after the last step, and decide nothing.
    """
    start = [f"start={settings.start}", f"optimizer.lr={settings.recipe.optimizer.lr / LOWER_RATE:g}"]
    return [
        f"experiment={settings.experiment}",
        *(start if cell.group.arm == START else []),
        f"cohort={settings.cohort}",
        f"split={cell.split_file(settings)}",
        f"cache={settings.output / 'cache'}",
        f"output={cell.folder(settings) / 'run'}",
        f"seed={cell.group.seed}",
        f"slices.pixel_mm={settings.pixel_mm}",
        f"trainer.steps={settings.steps}",
        f"trainer.validate_every={settings.steps}",
        f"trainer.threads={settings.threads}",
        f"trainer.accelerator={DEVICES[settings.device]}",
    ]


def build_cache(settings: Settings) -> None:
    """Build the slice cache of all trainings, so that it is in the time of none.

    Raises:
        InputError: LS-EXP-030, a case cannot be used.
    """
    keys = [f"cohort={settings.cohort}", f"cache={settings.output / 'cache'}", f"pixel_mm={settings.pixel_mm}"]
    command = [sys.executable, "-m", "liverspleen", "prepare", *keys, f"workers={settings.threads}"]
    run_command(command, settings.output / "prepare.txt")


def segment(cell: Cell, labels: Path, settings: Settings) -> None:
    """Write the label maps of the test patients of a fold; best.ckpt was selected on them, and is not used."""
    _predict(cell.folder(settings) / "run" / "last.ckpt", labels, settings, split=cell.split_file(settings))


def segment_as_is(labels: Path, settings: Settings) -> None:
    """Write the label maps of all patients by the start model."""
    _predict(settings.start, labels, settings, datasets=[DEVELOPMENT])


def _predict(model: Path, labels: Path, settings: Settings, **keys: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # they are in run.json
        accelerator = DEVICES[settings.device]
        api.predict(model=model, input=settings.cohort, output=labels, accelerator=accelerator, workers=1, **keys)
