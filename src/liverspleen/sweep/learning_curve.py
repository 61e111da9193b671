"""The learning curve of a sweep over subsets of the training patients: DSS by number of patients."""

from __future__ import annotations

from statistics import fmean
from typing import Final

import pandas

from liverspleen.errors import counted
from liverspleen.evaluation.reporting.formatting import DSS_DIGITS, fixed
from liverspleen.spreadsheet import csv_text
from liverspleen.sweep.leaderboard_study import StudyFiles

SUBSET: Final = "train_subset"
"""Searched key of `train` by which a sweep has a learning curve."""

COLUMNS: Final = ("cases", "patients", "seed", "dss", SUBSET, "number")
"""Columns of `learning_curve.csv`; `liverspleen plan question=cases` reads the first ones."""

HEADS: Final = ("Patients", "Cases", "Trainings", "Mean DSS", "Lowest", "Highest")
CURVE_REMARKS: Final = [
    "Test sets were not used: all numbers are from the validation side of the split, the same in all trainings.",
    "All trainings have the same number of steps and the same recipe. Another recipe can have another curve.",
]
_DIGITS: Final = DSS_DIGITS + 1


def trainings(study: StudyFiles) -> pandas.DataFrame:
    """Return the complete trainings with known numbers of patients, by number of patients and seed.

    It is empty if the sweep does not search `train_subset`.
    """
    if SUBSET not in {axis.name for axis in study.axes}:
        return study.trials.iloc[:0]
    known = study.trials[(study.trials["state"] == "complete") & study.trials["training_cases"].notna()]
    return known.assign(seed=known["seed"].astype(int)).sort_values(["training_patients", "seed", "number"])


def curve_csv(found: pandas.DataFrame) -> str:
    """Return learning_curve.csv: a row per training."""
    whole = found.astype({"training_cases": int, "training_patients": int})
    rows = whole[["training_cases", "training_patients", "seed", "dss", SUBSET, "number"]]
    return csv_text([COLUMNS, *rows.astype(object).to_numpy().tolist()])


def curve_rows(found: pandas.DataFrame) -> list[list[str]]:
    """Return the cells of `HEADS` for each number of patients; cases are those of all seeds, as a range."""
    rows = []
    for patients in sorted({int(one) for one in found["training_patients"]}):
        group = found[found["training_patients"] == patients]
        scores = group["dss"].tolist()
        cases = sorted({int(one) for one in group["training_cases"]})
        shown = str(cases[0]) if len(cases) == 1 else f"{cases[0]} to {cases[-1]}"
        numbers = [fixed(one, _DIGITS) for one in (fmean(scores), min(scores), max(scores))]
        rows.append([str(patients), shown, str(len(scores)), *numbers])
    return rows


def curve_decision(study: StudyFiles, found: pandas.DataFrame) -> tuple[str, ...]:
    """Return what the trainings show in a headline, and what to do next."""
    rows = curve_rows(found)
    if not rows:
        return ("No learning curve yet: no training is complete.",)
    ends = [f"{row[3]} with {counted(int(row[0]), 'training patient')}" for row in (rows[0], rows[-1])]
    head = f"Learning curve: mean DSS {' to '.join(dict.fromkeys(ends))}."
    state = f"The sweep is not finished: {study.n_searched} of {study.planned_trials} trials."
    so_far = [] if study.finished else [state]
    return (
        head,
        *so_far,
        "liverspleen plan question=cases curve=learning_curve.csv dss=... computes the cases that a DSS needs.",
    )
