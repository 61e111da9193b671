"""DSS and volumes of the test cases by each model, the curve of each training, and seconds per case."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import pandas as pd
from settings import Settings
from trainings import Arm

from liverspleen import api
from liverspleen.errors import InputWarning

COLUMNS = ["case_id", "structure", "dss", "volume_cm3", "reference_cm3"]
TIMED = 5


def scored(name: str, model: Path, settings: Settings, *, flips: bool = False) -> pd.DataFrame:
    """Return a row for each test case and organ with `COLUMNS`; a finished table is read again."""
    file = settings.output / "scores" / f"{name}.csv"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        tests, output = settings.output / "phantoms" / "tests.csv", settings.output / "predictions" / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # they are in run.json
            predicted = api.predict(model=model, input=tests, output=output, flips=flips, workers=1)
            measured = api.measure(
                labels=predicted.output,
                cohort=tests,
                datasets=["test1"],
                output=settings.output / "measurements" / name,
                surface="none",
                workers=1,
            )
        _paired(pd.read_csv(measured.file)).to_csv(file, index=False, lineterminator="\n")
    return pd.read_csv(file)


def _paired(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the model, each with the volume of the reference."""
    keys = ["case_id", "structure"]
    model, reference = (table[table["reader"] == reader] for reader in ("dla", "manual"))
    reference = reference[[*keys, "volume_cm3"]].rename(columns={"volume_cm3": "reference_cm3"})
    return model.merge(reference, on=keys)[COLUMNS]


def curve(arm: Arm, settings: Settings) -> pd.DataFrame:
    """Return the DSS of the new test cases by step; `step` counts finished steps."""
    table = pd.read_csv(arm.folder(settings) / "metrics.csv")
    found = table[table["metric"] == "val/dss"]
    return pd.DataFrame(
        {"arm": arm.name, "seed": arm.seed, "step": found["step"] + 1, "dss": found["value"].astype(float)}
    )


def minutes(folder: Path) -> float:
    """Return the time of a training in minutes, with its validations."""
    return float(pd.read_csv(folder / "metrics.csv")["time_s"].max()) / 60


def seconds_per_case(models: Sequence[tuple[str, Path, bool]], settings: Settings) -> pd.DataFrame:
    """Return processor seconds per case on one thread, over the first new test cases; a finished table is read again.

    The models take turns at each case, after one case that is not counted. A model is a name, a path, and whether to
    use flips.
    """
    file = settings.output / "scores" / "seconds.csv"
    if file.exists():
        return pd.read_csv(file)
    import torch

    from liverspleen import read_cohort, segment
    from liverspleen.inference.ensemble import load_ensemble

    torch.set_num_threads(1)
    cases = [case for case in read_cohort(settings.output / "phantoms" / "tests.csv").cases if "new" in case.case_id]
    loaded = [(name, load_ensemble(path), flips) for name, path, flips in models]
    rows = []
    for turn, case in enumerate(cases[: TIMED + 1]):
        for name, model, flips in loaded:
            began = process_time()
            segment(case.image, model, flips=flips)
            if turn:
                rows.append({"reader": name, "case_id": case.case_id, "seconds": process_time() - began})
    table = pd.DataFrame(rows)
    table.to_csv(file, index=False, lineterminator="\n", float_format="%.4g")
    return table
