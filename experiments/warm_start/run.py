"""Does a start from another model replace new cases, and do five folds replace one model? A study on phantoms.

    python experiments/warm_start/run.py output=outputs/warm_start [seeds=3] [steps=1500] [workers=2] ...

Parts: phantoms of an old and a new population (`phantoms/`), four trainings per seed (`models/`), a cross-validation
(`cross_validation/`), scores of the test cases (`scores/`), tables and figure. The same command resumes an interrupted
run, and a finished part is not run again. `settings.py` describes all settings.

Files in output=: scores.csv, curves.csv, minutes.csv; arms.csv, differences.csv, readers.csv; warm_start.svg and .png.

The exit code is 0 if the study is finished, 2 if an input was rejected.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from cohorts import write_cohorts
from figure import curves_figure
from scores import curve, minutes, scored, seconds_per_case
from settings import Settings, read_settings
from tables import SINGLE, arm_table, difference_table, reader_table
from trainings import ARMS, FEW, MANY, PARENT, START, Arm, train, train_folds

from liverspleen.errors import InputError
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes
from liverspleen.storage import complete_file, write_text
from liverspleen.studies import start_or_resume


def main(arguments: Sequence[str]) -> int:
    """Run the parts that are not finished, and return the exit code."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        settings = read_settings(arguments)
        start_or_resume(settings.output, settings.decisive)
        write_cohorts(settings)
        arms = run_arms(settings)
        readers = run_readers(settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    write_tables(settings, arms, readers)
    return 0


def run_arms(settings: Settings) -> pd.DataFrame:
    """Train and score the arms of all seeds; return the scores."""
    tables = []
    for seed in range(settings.seeds):
        for pair in ARMS:
            arms = [Arm(name, seed) for name in pair]
            train([arm for arm in arms if not _scores(arm, settings).exists()], settings)
            for arm in arms:
                found = scored(_scores(arm, settings).stem, arm.checkpoint(settings), settings)
                tables.append(found.assign(arm=arm.name, seed=seed))
    return pd.concat(tables, ignore_index=True)


def _scores(arm: Arm, settings: Settings) -> Path:
    return settings.output / "scores" / f"{arm.name}-seed{arm.seed}.csv"


def run_readers(settings: Settings) -> pd.DataFrame:
    """Cross-validate, and score the ensemble, one fold, and the single model of seed 0 without and with flips."""
    many, output = Arm(MANY, 0), settings.output
    ensemble = output / "cross_validation" / "ensemble"
    if not all((output / "scores" / f"{name}.csv").exists() for name in ("ensemble", "fold0")):
        ensemble = train_folds(settings)
    readers = {
        SINGLE: (many.checkpoint(settings), False),
        "flips": (many.checkpoint(settings), True),
        "fold0": (output / "cross_validation" / "fold0" / "last.ckpt", False),
        "ensemble": (ensemble, False),
    }
    tables = []
    for name, (model, flips) in readers.items():
        file = _scores(many, settings).stem if name == SINGLE else name
        tables.append(scored(file, model, settings, flips=flips).assign(reader=name))
    seconds = seconds_per_case([(name, *model) for name, model in readers.items()], settings)
    return reader_table(pd.concat(tables, ignore_index=True), seconds, [*readers])


def write_tables(settings: Settings, scores: pd.DataFrame, readers: pd.DataFrame) -> None:
    """Write tables and figure, and print the tables."""
    arms = [Arm(name, seed) for seed in range(settings.seeds) for pair in ARMS for name in pair]
    curves = pd.concat([curve(arm, settings) for arm in arms if arm.name != PARENT], ignore_index=True)
    folders = [arm.folder(settings) for arm in arms]
    folders += [settings.output / "cross_validation" / f"fold{number}" for number in range(settings.folds)]
    times = pd.DataFrame([{"training": folder.name, "minutes": minutes(folder)} for folder in folders])
    tables = {"arms": arm_table(scores), "differences": difference_table(scores), "readers": readers}
    for name, table in {"scores": scores, "curves": curves, "minutes": times, **tables}.items():
        write_text(settings.output / f"{name}.csv", table.to_csv(index=False, lineterminator="\n", float_format="%.5g"))
    names = {PARENT: f"old model ({settings.cases} old cases)", START: f"old model + {settings.few} new cases"}
    names |= {FEW: f"{settings.few} new cases from scratch", MANY: f"{settings.cases} new cases from scratch"}
    figure = curves_figure(curves, tables["arms"], names)
    for form in ("svg", "png"):
        with complete_file(settings.output / f"warm_start.{form}") as temporary:
            temporary.write_bytes(figure_bytes(figure, form))
    for table in (times, *tables.values()):
        print(f"\n{table.to_string(index=False)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
