"""`leaderboard.html`: one page that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from liverspleen import __version__
from liverspleen.errors import one_line
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.figures.bland_altman import figure_bytes
from liverspleen.evaluation.statistics.model_choice import Choice
from liverspleen.sweep.importance import Importances
from liverspleen.sweep.leaderboard_figures import history_figure, importance_figure, leaders_figure, parallel_figure
from liverspleen.sweep.leaderboard_rows import Row
from liverspleen.sweep.leaderboard_study import StudyFiles
from liverspleen.sweep.leaderboard_tables import FAILURE_HEADS, failures, front_text
from liverspleen.sweep.leaderboard_words import (
    DEFINITIONS,
    HEADS,
    OTHER_HEADS,
    cells,
    decision,
    label,
    other_cells,
    remarks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class _Picture:
    title: str
    caption: str
    uri: str
    wide: bool


def page(
    study: StudyFiles, choice: Choice | None, rows: Sequence[Row], found: Importances, front: Sequence[int]
) -> str:
    """The page: decision, table, figures, failed trials, what was not done."""
    from jinja2 import Environment, StrictUndefined

    template = resources.files("liverspleen.sweep").joinpath("templates/leaderboard.html.j2").read_text("utf-8")
    # Names of the data come as one line each: no line break, no mark that turns the direction of the text around it.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=one_line, trim_blocks=True, lstrip_blocks=True
    )
    head, *more = decision(study, choice, rows)
    return environment.from_string(template).render(
        study=study,
        won=choice is not None and choice.winner is not None,
        head=head,
        more=more,
        tiles=_tiles(study, choice),
        heads=HEADS,
        rows=[
            (label(study, row), cells(row), choice is not None and row.configuration in choice.not_shown_worse)
            for row in rows
            if row.rank
        ],
        other_heads=OTHER_HEADS,
        others=[(label(study, row), other_cells(row)) for row in rows if not row.rank],
        pictures=list(_pictures(study, choice, rows, found)),
        importance=found,
        front=front_text(study, front) if len(study.objectives) > 1 else "",
        failure_heads=FAILURE_HEADS,
        failures=failures(study),
        remarks=remarks(study, choice),
        definitions=DEFINITIONS,
        notice=RESEARCH_USE,
        version=__version__,
    )


def _tiles(study: StudyFiles, choice: Choice | None) -> list[tuple[str, str, str]]:
    """Label, value, and a remark."""
    pruned = len(study.phase("search", "pruned"))
    failed = int((study.trials["state"] == "failed").sum())
    hours = study.trials["seconds"].sum() / 3600
    return [
        (
            "Search",
            f"{study.n_searched} of {study.planned_trials}",
            f"trials; {study.sampler or 'sampler not told'}; {pruned} pruned",
        ),
        (
            "Confirmation",
            f"{study.n_confirmed} of {study.n_to_confirm}",
            f"trainings; {study.leaders} leaders × {study.seeds} seeds",
        ),
        ("Failed trials", str(failed), "listed below" if failed else "none"),
        (
            "Validation cases",
            str(choice.n_cases if choice else study.cases["case_id"].nunique()),
            "no test set touched",
        ),
        ("Training time", f"{hours:.1f} h" if hours >= 0.1 else f"{60 * hours:.1f} min", "sum over trials"),
    ]


def _pictures(study: StudyFiles, choice: Choice | None, rows: Sequence[Row], found: Importances) -> Iterator[_Picture]:
    if choice is not None and choice.best is not None:
        yield _picture(
            "Leaders by seed",
            "Overlapping intervals are no test: the decision rests on differences paired by case.",
            leaders_figure(study, choice, rows),
            wide=True,
        )
    if study.trials["dss"].notna().any():
        yield _picture(
            "History", "Each trial has another seed. The best so far rises by luck too.", history_figure(study)
        )
    if found.fractions:
        yield _picture(
            "Parameter importance",
            f"Grey: not above what shuffled scores give. {found.method}",
            importance_figure(found),
        )
    if study.axes and study.phase("search", "complete")["dss"].notna().any():
        yield _picture(
            "Parallel coordinates",
            "Complete search trials, lighter is better; thick lines are leaders.",
            parallel_figure(study, rows),
            wide=True,
        )


def _picture(title: str, caption: str, figure: Figure, *, wide: bool = False) -> _Picture:
    uri = f"data:image/svg+xml;base64,{base64.b64encode(figure_bytes(figure, 'svg')).decode()}"
    return _Picture(title, caption, uri, wide)
