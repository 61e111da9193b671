"""Measurements of the test patients of a group: DSS, HD95 and volumes, by `liverspleen measure` for every arm."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import nnunet
import pandas as pd
import trainings
from plan import AS_IS, THEIRS, Group, cells
from settings import Settings

from liverspleen import api
from liverspleen.cohort import DEVELOPMENT
from liverspleen.errors import InputWarning
from liverspleen.evaluation import read_measurements
from liverspleen.storage import write_text

COLUMNS: Final = ["case_id", "patient_id", "structure", "dss", "hd95_mm", "volume_cm3", "reference_cm3"]


def scores_file(group: Group, settings: Settings) -> Path:
    """Return the file of the scores of a group."""
    return settings.output / "scores" / f"{group.name}.csv"


def run_group(group: Group, settings: Settings) -> None:
    """Train, segment and measure; a finished part is not run again.

    Raises:
        InputError: LS-EXP-030, a command failed; as `api.predict` and `api.measure`.
    """
    file = scores_file(group, settings)
    if file.exists():
        return
    labels = settings.output / "labels" / group.name
    if group.arm == AS_IS:
        trainings.segment_as_is(labels, settings)
    program = nnunet if group.arm in THEIRS else trainings
    for cell in cells(group, settings):
        program.train(cell, settings)
        program.segment(cell, labels, settings)
    write_text(file, measured(group, labels, settings).to_csv(index=False, lineterminator="\n"))


def measured(group: Group, labels: Path, settings: Settings) -> pd.DataFrame:
    """Return a row for each test case and organ; a case without a label map has a DSS of 0 and no volume."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # they are in run.json
        found = api.measure(
            labels=labels,
            cohort=settings.cohort,
            datasets=[DEVELOPMENT],
            output=settings.output / "measurements" / group.name,
            reader=group.arm,
            allow_missing=True,
            workers=settings.threads,
        )
    return paired(read_measurements(found.file).table, group.arm)


def paired(table: pd.DataFrame, reader: str) -> pd.DataFrame:
    """Return the rows of the reader, each with the volume of the reference."""
    keys = ["case_id", "structure"]
    own, reference = (table[table["reader"] == name] for name in (reader, "manual"))
    reference = reference[[*keys, "volume_cm3"]].rename(columns={"volume_cm3": "reference_cm3"})
    return own.merge(reference, on=keys)[COLUMNS]


def all_scores(groups: list[Group], settings: Settings) -> pd.DataFrame:
    """Return the scores of the finished groups, with arm, size and seed."""
    return pd.concat(
        [
            pd.read_csv(file, dtype={"case_id": str, "patient_id": str}).assign(
                arm=group.arm, size=group.size, seed=group.seed
            )
            for group in groups
            if (file := scores_file(group, settings)).exists()
        ],
        ignore_index=True,
    )
