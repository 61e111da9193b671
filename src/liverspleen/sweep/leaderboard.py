"""The leaderboard of a sweep: `leaderboard.csv`, `.md`, `.html` and `choice.json`, from the files of its study."""

from __future__ import annotations

from pathlib import Path

from liverspleen import __version__
from liverspleen.evaluation.statistics.model_choice import Choice
from liverspleen.storage import StrPath, write_json, write_text
from liverspleen.sweep.importance import importances
from liverspleen.sweep.leaderboard_page import page
from liverspleen.sweep.leaderboard_rows import choice_of, pareto, rows_of
from liverspleen.sweep.leaderboard_study import read_study
from liverspleen.sweep.leaderboard_tables import csv_text, markdown_text
from liverspleen.sweep.leaderboard_words import decision, label, remarks


def write_leaderboard(output: StrPath) -> Choice | None:
    """Write the leaderboard of the study in `output`; the choice is returned, None if no confirmation has ended.

    It reads `study.json`, `trials.csv` and `trial_cases.csv` as they are now, so an unfinished study has a leaderboard
    too, which says that it is unfinished. The same files give the same bytes.

    Raises:
        InputError: LS-SWP-020, there is no study; LS-SWP-021, one of its tables cannot be read.
    """
    output = Path(output)
    study = read_study(output)
    choice = choice_of(study)
    rows, front, found = rows_of(study, choice), pareto(study), importances(study)
    write_text(output / "leaderboard.csv", csv_text(study, rows))
    write_text(output / "leaderboard.md", markdown_text(study, choice, rows, front))
    write_text(output / "leaderboard.html", page(study, choice, rows, found, front))
    write_json(
        output / "choice.json",
        {
            "generator": {"name": "liverspleen", "version": __version__},
            "study": study.name,
            "finished": study.finished,
            "said": decision(study, choice, rows),
            "remarks": remarks(study, choice),
            "choice": None if choice is None else choice.to_dict(),
            "labels": {row.configuration: label(study, row) for row in rows},
            "pareto": front,
            "importance": {"n": found.n, "fractions": found.fractions, "noise": found.noise, "reason": found.reason},
        },
    )
    return choice
