"""Which parts of the training recipe matter? One factor at a time, on randomised phantoms and on patients.

    python experiments/recipe/run.py output=FOLDER [cohort=COHORT.csv] [seeds=3] [steps=2000] [phantoms=240] ...

Ten recipes, the base and nine that differ from it in one factor, are trained with each seed: on phantoms, tested on
other phantoms, and with cohort= on three folds of patients. Both parts are sweeps (`liverspleen sweep`). matrix= is the
size of the phantoms in pixels, and workers= the number of trainings at once. The same command resumes an interrupted
run, and a finished training is not run again. cohort= can be added later with the same output=. `plan.py` describes all
settings and the arms; the first lines of the output state the computed hours.

Files in output=: arms.csv (means, differences from the base, counts), scores.csv (each test case), trials.csv,
recipe.md (the page), recipe.svg and .png. They are written again after each part.

The exit code is 0 if the study is finished, 2 if an input was rejected or all trainings failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pandas as pd
from page import difference_figure, page
from plan import (
    FOLDS,
    PATIENTS,
    Settings,
    cohorts,
    hours,
    phantom_arguments,
    read_settings,
    sweep_arguments,
    sweep_folder,
)
from summary import read_scores, read_trials, summarised

from liverspleen.api.phantoms import run_phantoms
from liverspleen.api.sweep import run_sweep
from liverspleen.cohort import folds_by_patient, read_cohort
from liverspleen.config import compose
from liverspleen.errors import InputError, collapsed
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes
from liverspleen.output_folder import occupied
from liverspleen.storage import complete_file, write_text
from liverspleen.studies import start_or_resume


def main(arguments: Sequence[str]) -> int:
    """Run the parts that are not finished, and return the exit code."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        settings = read_settings(arguments)
        phantoms = compose("phantom", phantom_arguments(settings))  # all settings are checked before the first part
        sweeps = {part: compose("sweep", sweep_arguments(part, settings)) for part in cohorts(settings)}
        say_cost(settings)
        issues = []
        with occupied(settings.output):
            start_or_resume(settings.output, settings.decisive)
            run_phantoms(phantoms)
            finished = []
            for part, config in sweeps.items():
                issues += run_sweep(config, sweep_arguments(part, settings))
                finished.append(part)
                write_results(finished, settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(*collapsed(issues), sep="\n", file=sys.stderr)
    print(f"open {settings.output / 'recipe.md'}")
    return 2 if any(issue.severity == "error" for issue in issues) else 0


def say_cost(settings: Settings) -> None:
    """Print the computed hours of each part, after a check of the cohort.

    Raises:
        InputError: the cohort cannot be read, or has too few patients for the folds.
    """
    numbers = dict.fromkeys(cohorts(settings), settings.phantoms)
    if settings.cohort is not None:
        cohort = read_cohort(settings.cohort)
        if errors := [issue for issue in cohort.issues if issue.severity == "error"]:
            raise InputError(errors)
        folds = folds_by_patient(cohort, folds=FOLDS, seed=0)
        numbers[PATIENTS] = sum(len(fold.cases(cohort, "validation")) for fold in folds)
    for part, cases in numbers.items():
        print(f"{part}: about {hours(part, cases, settings):.1f} hours of processor time on one core", flush=True)


def write_results(parts: Sequence[str], settings: Settings) -> None:
    """Write the tables, the figure and the page of the finished parts."""
    tables: dict[str, list[pd.DataFrame]] = {"arms": [], "scores": [], "trials": []}
    tested = {}
    for part in parts:
        folder, cohort = sweep_folder(part, settings), read_cohort(cohorts(settings)[part])
        trials = read_trials(folder)
        scores = read_scores(folder, trials, {case.case_id: case.patient_id for case in cohort.cases})
        unused = sum(not case.is_development for case in cohort.cases)
        tested[part] = (scores["patient_id"].nunique(), scores["case_id"].nunique(), unused)
        for name, table in (("arms", summarised(scores, trials)), ("scores", scores), ("trials", trials)):
            tables[name].append(table.assign(part=part))
    found = {name: pd.concat(one, ignore_index=True) for name, one in tables.items()}
    for name, table in found.items():
        write_text(settings.output / f"{name}.csv", table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
    figure = difference_figure(found["arms"])
    for form in ("svg", "png"):
        with complete_file(settings.output / f"recipe.{form}") as temporary:
            temporary.write_bytes(figure_bytes(figure, form))
    write_text(settings.output / "recipe.md", page(found["arms"], found["trials"], tested, settings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
