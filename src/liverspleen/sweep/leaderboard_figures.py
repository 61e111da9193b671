"""Figures of the leaderboard; they draw what is given and compute no statistic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style, shortened
from liverspleen.evaluation.statistics.model_choice import Choice
from liverspleen.sweep.importance import Importances
from liverspleen.sweep.leaderboard_rows import Row
from liverspleen.sweep.leaderboard_study import Axis, StudyFiles
from liverspleen.sweep.leaderboard_words import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008, told apart with any colour vision.
_BLUE: Final = "#0072B2"
_ORANGE: Final = "#D55E00"
_GREY: Final = "#999999"
_WIDEST: Final = 46  # characters of a label


def leaders_figure(study: StudyFiles, choice: Choice, rows: Sequence[Row]) -> Figure:
    """Confirmed means with their intervals, the mean of each seed, and the search score beside them."""
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.confirmed is not None and row.confirmed.mean is not None]
    with own_style():
        figure = Figure(figsize=(8.2, 1.5 + 0.62 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        for position, row in enumerate(shown):
            _leader(axes, position, row)
        axes.set_yticks(range(len(shown)), [_lines(label(study, row)) for row in shown], fontsize=8.5)
        for text in axes.get_yticklabels():
            text.set_parse_math(False)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel("DSS")
        _plain(axes)
        _legend(figure, axes)
    return figure


def history_figure(study: StudyFiles) -> Figure:
    """Scores of the trials in their order, the best of the search so far, and where trials failed or were pruned."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    search, confirm = (study.phase(phase, "complete").dropna(subset="dss") for phase in ("search", "confirm"))
    with own_style():
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(search["number"], search["dss"], s=24, color=_BLUE, label="search", zorder=3)
        if len(search):
            axes.step(
                search["number"], search["dss"].cummax(), where="post", color=_BLUE, lw=1, label="best of the search"
            )
        if len(confirm):
            axes.scatter(
                confirm["number"], confirm["dss"], s=26, marker="D", color=_ORANGE, label="confirmation", zorder=3
            )
        for state, marker in (("failed", "x"), ("pruned", "|")):
            gone = study.trials[study.trials["state"] == state]["number"]
            if len(gone):
                foot = axes.get_xaxis_transform()
                axes.scatter(gone, [0.02] * len(gone), s=30, marker=marker, color=INK, transform=foot, label=state)
        axes.set_xlabel("Trial")
        axes.set_ylabel("DSS")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _plain(axes)
        _legend(figure, axes)
    return figure


def importance_figure(found: Importances) -> Figure:
    """Share of each parameter, and the mark below which shuffled scores stay in 95 of 100 cases."""
    from matplotlib.figure import Figure

    names = list(found.fractions)
    with own_style():
        figure = Figure(figsize=(7.2, 1.3 + 0.36 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        above = [found.fractions[name] > found.noise[name] for name in names]
        axes.barh(names, list(found.fractions.values()), height=0.6, color=[_BLUE if one else _GREY for one in above])
        noise = list(found.noise.values())
        axes.scatter(noise, range(len(names)), marker="|", s=220, color=INK, zorder=3, label="95 % of shuffled scores")
        axes.set_yticks(range(len(names)), [shortened(name, _WIDEST) for name in names])
        for text in axes.get_yticklabels():
            text.set_parse_math(False)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"Share (PED-ANOVA, {found.n} trials)")
        _plain(axes)
        _legend(figure, axes)
    return figure


def parallel_figure(study: StudyFiles, rows: Sequence[Row]) -> Figure:
    """Each complete search trial as a line through its parameters to its DSS; the leaders are drawn thicker."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    trials = study.phase("search", "complete").dropna(subset="dss")
    scores = trials["dss"].to_numpy()
    low, high = float(scores.min()), float(scores.max())
    axes_of = [*study.axes, Axis("DSS", limits=(low, high))]
    leaders = {row.configuration for row in rows if row.rank is not None}
    with own_style():
        figure = Figure(figsize=(max(7.2, 1.7 * len(axes_of)), 4.2), layout="constrained")
        axes = figure.add_subplot()
        for (_, trial), score in zip(trials.iterrows(), scores, strict=True):
            heights = [_height(axis, axis.value(str(trial[axis.name]))) for axis in study.axes]
            colour = colormaps["viridis"](0.9 * _between(score, low, high))
            leading = trial["configuration"] in leaders
            axes.plot(
                [*heights, _between(score, low, high)],
                color=colour,
                lw=2.4 if leading else 0.9,
                alpha=0.95 if leading else 0.6,
            )
        for position, axis in enumerate(axes_of):
            _coordinate(axes, position, axis)
        axes.set_xticks(range(len(axes_of)), [shortened(axis.name, 22) for axis in axes_of])
        for text in axes.get_xticklabels():
            text.set_parse_math(False)
        axes.set_xlim(-0.3, len(axes_of) - 0.55)
        axes.set_ylim(-0.05, 1.05)
        axes.yaxis.set_visible(False)
        axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
        axes.tick_params(axis="x", length=0)
    return figure


def _leader(axes: Axes, position: int, row: Row) -> None:
    found = row.confirmed
    assert found is not None  # only such rows are shown
    assert found.mean is not None
    means = list(found.seed_means.values())
    first = position == 0
    axes.scatter(
        means, [position + 0.14] * len(means), s=14, color=_GREY, label="one seed" if first else None, zorder=2
    )
    if found.ci is not None:
        axes.plot(
            found.ci, [position, position], color=INK, lw=1.5, label="95 % CI by case and seed" if first else None
        )
    axes.scatter(found.mean, position, s=46, color=_BLUE, label="mean of the confirmation" if first else None, zorder=3)
    if row.search_dss is not None:
        name = "search score, selected" if first else None
        axes.scatter(
            row.search_dss,
            position - 0.14,
            s=34,
            marker="v",
            facecolors="none",
            edgecolors=_ORANGE,
            label=name,
            zorder=3,
        )


def _lines(text: str) -> str:
    """The digits of a configuration, and its parameters in two lines at most below them."""
    first, _, rest = text.partition(" (")
    parameters = wrap(rest.removesuffix(")"), _WIDEST)
    below = [*parameters[:1], *([shortened(" ".join(parameters[1:]), _WIDEST)] if parameters[1:] else [])]
    return "\n".join([shortened(first, _WIDEST), *below])


def _coordinate(axes: Axes, position: int, axis: Axis) -> None:
    axes.axvline(position, color=INK, lw=0.8, zorder=4)
    if axis.choices:
        ticks = [(choice, _height(axis, choice)) for choice in axis.choices]
    else:
        low, high = axis.limits or (0.0, 1.0)
        middle = math.sqrt(low * high) if axis.log else (low + high) / 2
        ticks = [(f"{value:.4g}", _height(axis, value)) for value in dict.fromkeys((low, middle, high))]
    for text, height in ticks:
        axes.annotate(
            shortened(text, 14),
            xy=(position, height),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
            zorder=5,
            parse_math=False,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )


def _height(axis: Axis, value: str | float | None) -> float:
    """Place of a value on its axis, 0 to 1; NaN, which breaks the line, where there is none."""
    if value is None:
        return math.nan
    if axis.choices:
        return axis.choices.index(str(value)) / (len(axis.choices) - 1) if len(axis.choices) > 1 else 0.5
    low, high = axis.limits or (0.0, 1.0)
    number = float(value)
    if axis.log:
        return _between(math.log(number), math.log(low), math.log(high)) if number > 0 else math.nan
    return _between(number, low, high)


def _between(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.7)
    axes.set_axisbelow(True)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
