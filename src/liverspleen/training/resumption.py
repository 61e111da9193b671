"""Checkpoint from which a training is resumed: the readable one with the most steps in its folder."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError, Issue
from liverspleen.networks.checkpoint import PACKAGE_KEY
from liverspleen.reading import read_text
from liverspleen.spreadsheet import csv_rows
from liverspleen.training.checkpoint_files import DamagedCheckpointError, read_checkpoint
from liverspleen.training.recipe import Recipe, recorded_recipe

LAST, BEST = "last.ckpt", "best.ckpt"
THREADS_KEY: Final = "threads"
"""Entry of a checkpoint with the number of threads."""
MINUTES_KEY: Final = "minutes"
"""Entry of a checkpoint with the time for which its steps were planned; absent if their number was given."""


@dataclass(frozen=True)
class Resumption:
    """The checkpoint from which a training is resumed.

    `checkpoint` is None for a new training; `steps` are the finished steps; `planned` is the number of steps that the
    training was planned for; `stale` counts validations since the best one; `threads` are those of its process, None
    for a new training; `ancestors` are the models that it was started from; `issues` are warnings. `recipe` is the
    recorded one. `minutes` is the time for which the steps were planned, None if their number was given; `seconds` is
    the time of the finished steps.
    """

    checkpoint: Path | None = None
    steps: int = 0
    planned: int = 0
    stale: int = 0
    threads: int | None = None
    ancestors: Sequence[Mapping[str, Any]] = ()
    issues: tuple[Issue, ...] = ()
    recipe: Recipe | None = None
    minutes: float | None = None
    seconds: float = 0.0


def resumption(folder: Path, recipe: Recipe, *, neutral: Mapping[str, Any]) -> Resumption:
    """Return the checkpoint with the most steps; a damaged one is skipped with a warning.

    `neutral` holds the values for keys that a checkpoint does not have (see `changed_keys`).

    Raises:
        InputError: LS-TRN-004 a checkpoint of another training, with all differences; LS-TRN-005 all checkpoints are
            damaged; LS-FMT-001 a checkpoint of another format.
    """
    found, damaged = [], []
    for file in (folder / LAST, folder / BEST):
        if not file.exists():
            continue
        try:
            checkpoint = _resumable(file, recipe, neutral)
            found.append((checkpoint["global_step"], file, checkpoint))
        except DamagedCheckpointError as error:
            damaged.append((file, f"the checkpoint is damaged or was edited: {error}"))
    if damaged and not found:
        file, reason = damaged[0]
        hint = "restore the file, or remove the checkpoints of this folder to train again from the start"
        raise InputError(Issue("LS-TRN-005", f"{reason}; there is no other", hint, file=file))
    if not found:
        return Resumption()
    steps, file, checkpoint = max(found, key=lambda one: one[0])  # the first of equals is `last`
    warnings = tuple(
        Issue(
            "LS-TRN-005",
            f"{reason}; the training resumes from step {steps} of {file.name}",
            "check the disk",
            file=one,
            severity="warning",
        )
        for one, reason in damaged
    )
    description = checkpoint[PACKAGE_KEY]
    return Resumption(
        file,
        steps,
        description["steps"],
        checkpoint["stale"],
        checkpoint[THREADS_KEY],
        description.get("ancestors", ()),
        warnings,
        recipe=recorded_recipe(checkpoint),
        minutes=checkpoint.get(MINUTES_KEY),
        seconds=recorded_seconds(folder, steps),
    )


def recorded_key(folder: Path, name: str) -> Any:
    """Return the value of a key in the recipe of the first readable checkpoint of a folder; None without one."""
    for file in (folder / LAST, folder / BEST):
        with suppress(DamagedCheckpointError):
            if (recorded := recorded_recipe(read_checkpoint(file))) is not None:
                return recorded.keys.get(name)
    return None


def recorded_seconds(folder: Path, steps: int) -> float:
    """Return the time of the first `steps` steps from the last row of `metrics.csv` before them; 0 if it is unknown.

    The time is not in the checkpoint, so that a training that was interrupted ends with the same file as another one.
    """
    try:
        rows = [
            row for row in csv_rows(read_text(folder / "metrics.csv")) if int(row["step"]) < steps and row["time_s"]
        ]
        found = float(rows[-1]["time_s"]) if rows else 0.0
    except (OSError, ValueError, KeyError, TypeError, csv.Error):  # the logger reports a damaged file
        return 0.0
    return found if 0 <= found < math.inf else 0.0


def replanned(done: Resumption, steps: int) -> list[Issue]:
    """Return the warning LS-TRN-011 if a decaying rate was planned for another number of steps than `steps`."""
    if done.checkpoint is None or done.planned == steps:
        return []
    message = f"the learning rate up to step {done.steps} was planned for {done.planned} steps, not for {steps}"
    hint = f"train again from the start if the result must equal that of a training planned for {steps} steps"
    return [Issue("LS-TRN-011", message, hint, file=done.checkpoint, severity="warning")]


def other_threads(done: Resumption, threads: int) -> list[Issue]:
    """Return the warning LS-TRN-027 if the checkpoint was trained with another number of threads than `threads`."""
    if done.threads in (None, threads):
        return []
    message = f"trainer.threads was {done.threads}, now {threads}: the sums of the remaining steps have another order"
    hint = "remove trainer.threads= if the result must equal that of a training without a break to the last digit"
    return [Issue("LS-TRN-027", message, hint, file=done.checkpoint, severity="warning")]


def _resumable(file: Path, recipe: Recipe, neutral: Mapping[str, Any]) -> dict[str, Any]:
    """Read a checkpoint and check that it is of this training; errors as of `resumption` and `read_checkpoint`."""
    checkpoint = read_checkpoint(file)
    if (recorded := recorded_recipe(checkpoint)) is None:
        raise DamagedCheckpointError("it has no recipe")
    if differences := recipe.settled(recorded).differences(recorded, neutral):
        message = f"the output folder holds another training: {'; '.join(differences)}"
        hint = "use the recorded values again, or choose another output="
        raise InputError(Issue("LS-TRN-004", message, hint, file=file))
    return checkpoint


def replan(checkpoint: dict[str, Any], steps: int) -> None:
    """Change the last step of a checkpoint's `PolynomialLR`, in place; other schedules do not store one.

    The rate becomes that of a training planned for `steps` at this step; the weights are not changed.
    """
    schedules, optimizers = checkpoint.get("lr_schedulers", []), checkpoint.get("optimizer_states", [])
    # not strict: an optimizer without a schedule keeps its rate
    for schedule, optimizer in zip(schedules, optimizers, strict=False):
        if "total_iters" not in schedule or schedule["total_iters"] == steps:
            continue
        schedule["total_iters"] = steps
        remaining = 1 - min(schedule["last_epoch"], steps) / steps
        schedule["_last_lr"] = [rate * remaining ** schedule["power"] for rate in schedule["base_lrs"]]
        for group, rate in zip(optimizer["param_groups"], schedule["_last_lr"], strict=True):
            group["lr"] = rate
