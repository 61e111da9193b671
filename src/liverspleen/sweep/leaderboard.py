"""Write the leaderboard of a sweep: `leaderboard.csv`, `.md`, `.html` and `choice.json`."""

from __future__ import annotations

import base64
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from liverspleen import __version__
from liverspleen.evaluation.reporting.definitions import RESEARCH_USE
from liverspleen.evaluation.reporting.figures.bland_altman import INK, figure_bytes, own_style, shortened
from liverspleen.evaluation.statistics.model_choice import Choice
from liverspleen.pages import templates
from liverspleen.storage import StrPath, write_json, write_text
from liverspleen.sweep.leaderboard_study import read_study
from liverspleen.sweep.leaderboard_text import DEFINITIONS, Leaderboard, csv_text, markdown_text
from liverspleen.sweep.learning_curve import curve_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from liverspleen.sweep.leaderboard_study import Row

# Okabe and Ito 2008, for any colour vision
_BLUE: Final = "#0072B2"
_ORANGE: Final = "#D55E00"
_GREY: Final = "#999999"
_LABEL_CHARACTERS: Final = 46

CURVE: Final = "learning_curve.csv"
"""Table of a sweep over subsets of the training patients."""


def write_leaderboard(output: StrPath) -> Choice | None:
    """Write the leaderboard of the study in `output` and return the choice; None if no confirmation is complete.

    It reads `study.json`, `trials.csv` and `trial_cases.csv`. The study may be unfinished; the leaderboard then states
    this. The same files give the same bytes.

    Raises:
        InputError: LS-SWP-020, there is no study; LS-SWP-021, one of its tables cannot be read.
    """
    output = Path(output)
    board = Leaderboard(read_study(output))
    found = board.importance
    write_text(output / "leaderboard.csv", csv_text(board))
    write_text(output / "leaderboard.md", markdown_text(board))
    if len(board.trainings):
        write_text(output / CURVE, curve_csv(board.trainings))
    write_text(output / "leaderboard.html", _page(board))
    write_json(
        output / "choice.json",
        {
            "generator": {"name": "liverspleen", "version": __version__},
            "study": board.study.name,
            "finished": board.study.finished,
            "decision": board.decision,
            "remarks": board.remarks,
            "choice": None if board.choice is None else board.choice.to_dict(),
            "labels": board.names,
            "pareto": board.front,
            "importance": {"n": found.n, "fractions": found.fractions, "noise": found.noise, "reason": found.reason},
        },
    )
    return board.choice


def _page(board: Leaderboard) -> str:
    """Return the leaderboard as one self-contained HTML page."""
    choice, study = board.choice, board.study
    picture = ""
    if choice is not None and choice.best is not None:
        picture = f"data:image/svg+xml;base64,{base64.b64encode(figure_bytes(_figure(board), 'svg')).decode()}"
    return (
        templates("liverspleen.sweep")
        .get_template("leaderboard.html.j2")
        .render(
            board=board,
            study=study,
            choice=choice,
            n_pruned=len(study.phase("search", "pruned")),
            n_cases=choice.n_cases if choice else study.cases["case_id"].nunique(),
            hours=study.trials["seconds"].sum() / 3600,
            picture=picture,
            definitions=DEFINITIONS,
            notice=RESEARCH_USE,
            version=__version__,
        )
    )


def _figure(board: Leaderboard) -> Figure:
    """Return a figure of the confirmed means with their intervals, the mean of each seed, and the search score."""
    from matplotlib.figure import Figure

    shown = [row for row in board.rows if row.confirmed is not None and row.confirmed.mean is not None]
    with own_style():
        figure = Figure(figsize=(8.2, 1.5 + 0.62 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        for position, row in enumerate(shown):
            _plot_leader(axes, position, row)
        axes.set_yticks(range(len(shown)), [_wrapped(board.names[row.configuration]) for row in shown], fontsize=8.5)
        for text in axes.get_yticklabels():
            text.set_parse_math(False)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel("DSS")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#E6E6E6", linewidth=0.7)
        axes.set_axisbelow(True)
        handles = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _plot_leader(axes: Axes, position: int, row: Row) -> None:
    found = row.confirmed
    assert found is not None  # other rows are not plotted
    assert found.mean is not None
    means = list(found.seed_means.values())
    axes.scatter(means, [position + 0.14] * len(means), s=14, color=_GREY, label="one seed", zorder=2)
    if found.mean_ci is not None:
        axes.plot(found.mean_ci, [position, position], color=INK, lw=1.5, label="95 % CI by case and seed")
    axes.scatter([found.mean], [position], s=46, color=_BLUE, label="mean of the confirmation", zorder=3)
    if row.search_dss is not None:
        point, name = ([row.search_dss], [position - 0.14]), "search score (selected)"
        axes.scatter(*point, s=34, zorder=3, marker="v", facecolors="none", edgecolors=_ORANGE, label=name)


def _wrapped(text: str) -> str:
    """Return the parameters of a configuration in at most three lines."""
    lines = wrap(text, _LABEL_CHARACTERS)
    lines = [*lines[:2], *([" ".join(lines[2:])] if lines[2:] else [])]
    return "\n".join(shortened(line, _LABEL_CHARACTERS) for line in lines)
