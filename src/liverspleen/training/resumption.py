"""Checkpoint from which a training is resumed: the readable one with the most steps in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.formats import CHECKPOINT
from liverspleen.networks.checkpoint import PACKAGE_KEY
from liverspleen.training.checkpoint_files import read_checkpoint
from liverspleen.training.recipe import Recipe, recorded_recipe

LAST, BEST = "last.ckpt", "best.ckpt"


@dataclass(frozen=True)
class Resumption:
    """The checkpoint from which a training is resumed.

    `checkpoint` is None for a new training; `steps` are the finished steps; `planned` is the number of steps that the
    training was planned for; `stale` counts validations since the best one; `issues` are warnings.
    """

    checkpoint: Path | None = None
    steps: int = 0
    planned: int = 0
    stale: int = 0
    issues: tuple[Issue, ...] = ()


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
        if (checkpoint := _resumable(file, recipe, neutral)) is None:
            damaged.append(file)
        else:
            found.append((int(checkpoint["global_step"]), file, checkpoint))
    if damaged and not found:
        hint = "restore the file, or remove it to train again from the start"
        raise InputError(Issue("LS-TRN-005", "the checkpoint is damaged and there is no other", hint, file=damaged[0]))
    if not found:
        return Resumption()
    steps, file, checkpoint = max(found, key=lambda one: one[0])  # the first of equals is `last`
    warnings = tuple(
        Issue(
            "LS-TRN-005",
            f"the checkpoint is damaged, so the training resumes from step {steps} of {file.name}",
            "check the disk",
            file=one,
            severity="warning",
        )
        for one in damaged
    )
    planned = int(checkpoint[PACKAGE_KEY].get("steps", steps))
    return Resumption(file, steps, planned, int(checkpoint.get("stale", 0)), warnings)


def replanned(done: Resumption, steps: int) -> list[Issue]:
    """Return the warning LS-TRN-011 if a polynomial rate was planned for another number of steps than `steps`."""
    if done.checkpoint is None or done.planned == steps:
        return []
    message = f"the learning rate up to step {done.steps} was planned for {done.planned} steps, not for {steps}"
    hint = f"train again from the start if the result must equal that of a training planned for {steps} steps"
    return [Issue("LS-TRN-011", message, hint, file=done.checkpoint, severity="warning")]


def _resumable(file: Path, recipe: Recipe, neutral: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read a checkpoint and check that it is of this training; return None if it is damaged."""
    checkpoint = read_checkpoint(file)
    if checkpoint is None or not isinstance(description := checkpoint[PACKAGE_KEY], dict):
        return None
    CHECKPOINT.check(description.get("format"), file)
    if (recorded := recorded_recipe(checkpoint)) is None:
        return None
    if differences := recipe.differences(recorded, neutral):
        message = f"the output folder holds another training: {'; '.join(differences)}"
        hint = "use the recorded values again, or choose another output="
        raise InputError(Issue("LS-TRN-004", message, hint, file=file))
    return checkpoint


def replan(checkpoint: dict[str, Any], steps: int) -> None:
    """Change the last step of a checkpoint's polynomial decay, in place; other schedules have no last step.

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
