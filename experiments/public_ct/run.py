"""Start model, training from scratch and nnU-Net on a cohort of patients, by the number of training patients.

    python experiments/public_ct/run.py cohort=COHORT.csv [start=MODEL] output=FOLDER [nnunet=PYTHON] [seeds=1] ...

Each patient is a test patient in one of three folds. Arms: the start model as it is; trainings from scratch and from
the start model with 1, 2, 4 and 8 patients; with nnunet= the Python of an environment with nnU-Net 2.8.1, nnU-Net 2D
with as many training slices, and with as much time. The same command resumes an interrupted run, and a finished part is
not run again. sizes=, seeds= and nnunet= can be added later with the same output=. `settings.py` describes all
settings, README.md how to make the environment of nnU-Net.

Files in output=: scores.csv, arms.csv, differences.csv, trainings.csv, public_ct.md (the page), public_ct.svg and .png.
They are written again after each group of trainings.

The exit code is 0 if the study is finished, 2 if an input was rejected or a command failed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import nnunet
from figure import dss_figure
from page import NAMES, WITHOUT_NNUNET, page
from plan import cells, folds_of, groups, write_splits
from scores import all_scores, run_group, scores_file
from settings import Settings, read_settings
from tables import arm_table, difference_table
from times import by_arm, training_table
from trainings import build_cache

from liverspleen.cohort import Cohort, read_cohort
from liverspleen.errors import InputError
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
        cohort = read_cohort(settings.cohort)
        for issue in cohort.issues:
            print(issue, file=sys.stderr)
        if any(issue.severity == "error" for issue in cohort.issues):
            return 2
        folds = folds_of(cohort, settings)
        if settings.nnunet is None:
            print(WITHOUT_NNUNET)
        else:
            nnunet.check(settings)
        with occupied(settings.output):
            start_or_resume(settings.output, settings.decisive | {"cohort": cohort.hash})
            every = [*groups(settings)]
            write_splits(folds, tuple(cell for group in every for cell in cells(group, settings)), settings)
            if not all(scores_file(group, settings).exists() for group in every):
                build_cache(settings)
            for group in every:
                run_group(group, settings)
                write_results(cohort, settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"open {settings.output / 'public_ct.md'}")
    return 0


def write_results(cohort: Cohort, settings: Settings) -> None:
    """Write the tables, the figure and the page of the finished groups."""
    every = [*groups(settings)]
    scores, trainings = all_scores(every, settings), training_table(every, settings)
    spent = by_arm(trainings)
    arms = arm_table(scores).merge(spent[["arm", "size", "slices_seen", "seconds"]], on=["arm", "size"], how="left")
    differences = difference_table(scores, settings.sizes)
    tables = {"scores": scores, "arms": arms, "differences": differences, "trainings": trainings}
    for name, table in tables.items():
        write_text(settings.output / f"{name}.csv", table.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
    figure = dss_figure(arms, NAMES, "Processor" if settings.device == "cpu" else "Wall")
    for form in ("svg", "png"):
        with complete_file(settings.output / f"public_ct.{form}") as temporary:
            temporary.write_bytes(figure_bytes(figure, form))
    write_text(settings.output / "public_ct.md", page(cohort, settings, arms, differences, spent))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
