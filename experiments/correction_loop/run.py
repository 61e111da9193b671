"""Which cases should be corrected first? Loops of correction and training on phantoms, with a simulated reader.

    python experiments/correction_loop/run.py output=outputs/correction_loop [seeds=5] [rounds=4] [workers=2] ...

Parts: phantoms (`phantoms/`), a start model per seed, and for each seed and order a loop of rounds (`loops/`): predict
the pool, select cases, correct them, train from the model before, score the test cases (`scores/`). The orders are
random, worst first, and the proposal of `liverspleen correct`. The same command resumes an interrupted run, and a
finished round is not run again. `settings.py` describes all settings.

Files in output=: scores.csv, curves.csv, differences.csv, needed.csv, seconds.csv; correction_loop.svg and .png.

The exit code is 0 if the study is finished, 2 if an input was rejected.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from figure import curves_figure
from loop import POLICIES, START, Loop
from patients import write_cohorts
from settings import Settings, read_settings
from tables import curve_table, difference_table, needed_table

from liverspleen.errors import InputError
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes
from liverspleen.output_folder import occupied
from liverspleen.storage import complete_file, write_text
from liverspleen.studies import run_command, start_or_resume


def main(arguments: Sequence[str]) -> int:
    """Run the parts that are not finished, and return the exit code."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        settings = read_settings(arguments)
        with occupied(settings.output):
            start_or_resume(settings.output, settings.decisive)
            write_cohorts(settings)
            for policies in ([START], [*POLICIES]):
                loops = [Loop(policy, seed, settings) for seed in range(settings.seeds) for policy in policies]
                with ThreadPoolExecutor(settings.workers) as pool:
                    list(pool.map(start_loop, loops))
            write_tables(settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def start_loop(loop: Loop) -> None:
    """Run a loop in a process of its own, unless it is finished; its output is added to `FOLDER.log`.

    Raises:
        InputError: LS-EXP-030, it failed.
    """
    last = 0 if loop.policy == START else loop.settings.rounds
    if loop.scores(last).exists():
        return
    print(f"loop {loop.folder}", flush=True)
    file = Path(__file__).with_name("loop.py")
    command = [sys.executable, str(file), loop.policy, str(loop.seed), *loop.settings.arguments]
    run_command(command, loop.folder.with_name(f"{loop.name}.log"))


def read_scores(settings: Settings) -> pd.DataFrame:
    """Return the scores of all rounds; round 0 of each policy is the start model."""
    found = []
    for seed in range(settings.seeds):
        for policy in POLICIES:
            loop = Loop(policy, seed, settings)
            tables = [pd.read_csv(loop.scores(number)) for number in range(settings.rounds + 1)]
            found += [one.assign(policy=policy) for one in tables]
    return pd.concat(found, ignore_index=True)


def write_tables(settings: Settings) -> None:
    """Write tables and figure, and print the tables."""
    scores = read_scores(settings)
    clocked = [name for name in scores if name.endswith("_s")]
    seconds = scores.drop_duplicates(["policy", "seed", "round"])[["policy", "seed", "round", *clocked]]
    curves = curve_table(scores)
    results = {"curves": curves, "differences": difference_table(scores), "needed": needed_table(scores)}
    for name, table in {"scores": scores.drop(columns=clocked), "seconds": seconds, **results}.items():
        write_text(settings.output / f"{name}.csv", table.to_csv(index=False, lineterminator="\n", float_format="%.5g"))
    figure = curves_figure(curves)
    for form in ("svg", "png"):
        with complete_file(settings.output / f"correction_loop.{form}") as temporary:
            temporary.write_bytes(figure_bytes(figure, form))
    for table in results.values():
        print(f"\n{table.to_string(index=False)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
