"""Table of the trainings: slices seen, steps and time."""

from __future__ import annotations

import json
from collections.abc import Sequence

import nnunet
import pandas as pd
from plan import THEIRS, Cell, Group, cells
from scores import scores_file
from settings import Settings
from trainings import time_of


def training_table(groups: Sequence[Group], settings: Settings) -> pd.DataFrame:
    """Return a row for each training of the finished groups."""
    return pd.DataFrame(
        _row(cell, settings)
        for group in groups
        if scores_file(group, settings).exists()
        for cell in cells(group, settings)
    )


def _row(cell: Cell, settings: Settings) -> dict[str, object]:
    steps, batch = settings.steps, settings.slices_seen // settings.steps
    if cell.group.arm in THEIRS:
        steps = json.loads((cell.folder(settings) / "iterations.json").read_text(encoding="utf-8"))
        batch = nnunet.batch_size(settings)
    time = time_of(cell, settings)
    return {
        "arm": cell.group.arm,
        "size": cell.group.size,
        "seed": cell.group.seed,
        "fold": cell.fold,
        "steps": steps,
        "batch_size": batch,
        "slices_seen": steps * batch,
        "wall_s": time.wall_s,
        "processor_s": time.processor_s,
        "seconds": time.counted(settings.device),
    }


def by_arm(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return the means over folds and seeds for each arm and size; `seconds` are those that are compared."""
    if trainings.empty:
        return pd.DataFrame(columns=["arm", "size", "slices_seen", "seconds"])
    groups = trainings.groupby(["arm", "size"], sort=False)
    means = groups[["steps", "slices_seen", "wall_s", "processor_s", "seconds"]].mean()
    return means.assign(trainings=groups.size()).reset_index()
