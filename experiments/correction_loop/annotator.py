"""A simulated reader: saves the reference label map, and needs minutes by a stated model."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pandas as pd

MINUTES_PER_CASE: Final = 2.0
"""To open, to look through and to save a case. An assumption."""

MINUTES_PER_SLICE: Final = 0.5
"""For each slice in which a voxel is changed. An assumption."""


def correct_cases(todo: Path, references: Path, cases: Iterable[str]) -> None:
    """Save the reference label map of each case in its folder."""
    for case in cases:
        shutil.copyfile(references / f"{case}.nii.gz", todo / "cases" / case / f"{case}_dseg.nii.gz")


def minutes(corrections: pd.DataFrame) -> float:
    """Return the minutes for the cases of a table `corrections.csv` that were edited or judged.

    >>> states = ["predicted", "corrected", "confirmed", "predicted", "confirmed", "predicted"]
    >>> table = pd.DataFrame({"case_id": list("aaabbc"), "state": states, "slices": [None, 10, None, None, None, None]})
    >>> minutes(table)  # a with ten slices, b without a change; c waits
    9.0
    """
    judged = corrections[corrections["state"] != "predicted"]
    return MINUTES_PER_CASE * judged["case_id"].nunique() + MINUTES_PER_SLICE * float(judged["slices"].sum())
