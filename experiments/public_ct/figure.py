"""Figure: mean DSS by the number of training patients (top) and by the time of a training (bottom), for each organ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from plan import AS_IS, NNUNET, NNUNET_TIME, SCRATCH, START

from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style
from liverspleen.organs import ORGANS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {START: "#0072B2", SCRATCH: "#E69F00", NNUNET: "#009E73", NNUNET_TIME: "#CC79A7", AS_IS: "#555555"}
"""Okabe and Ito 2008."""

_SHIFT = 0.04  # between the points of two arms, as a fraction of a doubling of the patients


def dss_figure(arms: pd.DataFrame, names: dict[str, str], clock: str) -> Figure:
    """Return the figure; bars are 95 % intervals, and the dashed line is the start model as it is."""
    from matplotlib.figure import Figure

    numbers = ["dss", "lower", "upper", "seconds"]
    arms = arms.astype(dict.fromkeys(numbers, float)).dropna(subset=["dss"])
    with own_style():
        figure = Figure(figsize=(4.5 * len(ORGANS), 8.0), layout="constrained")
        axes = figure.subplots(2, len(ORGANS), sharey=True, squeeze=False)
        for column, organ in enumerate(ORGANS):
            upper, lower = axes[:, column]
            rows = arms[arms["structure"] == organ.key]
            for one in (upper, lower):
                for dss in rows[rows["arm"] == AS_IS]["dss"]:
                    one.axhline(dss, color=COLOURS[AS_IS], linestyle="--", linewidth=1.2, label=names[AS_IS])
                one.tick_params(colors=INK)
                one.spines[["top", "right"]].set_visible(False)
            _by_patients(upper, rows[rows["arm"] != AS_IS], names)
            _by_time(lower, rows[rows["arm"] != AS_IS])
            upper.set_title(organ.key.capitalize(), loc="left", fontweight="bold")
            upper.set_xlabel("Training patients")
            lower.set_xlabel(f"{clock} time of a training (s); the numbers are training patients")
        for one in axes[:, 0]:
            one.set_ylabel("Mean DSS of the test patients")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    return figure


def _by_patients(axes: Axes, rows: pd.DataFrame, names: dict[str, str]) -> None:
    for number, arm in enumerate(COLOURS):
        part = rows[rows["arm"] == arm]
        if part.empty:
            continue
        x = [size * 2 ** (_SHIFT * (number - 1.5)) for size in part["size"]]
        bars = [part["dss"] - part["lower"], part["upper"] - part["dss"]]  # undefined intervals are not drawn
        style = {"fmt": "o-", "color": COLOURS[arm], "markersize": 4.5, "capsize": 2.5, "label": names[arm]}
        axes.errorbar(x, part["dss"], yerr=bars, **style)
    if len(rows):
        sizes = sorted({*rows["size"]})
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()


def _by_time(axes: Axes, rows: pd.DataFrame) -> None:
    for arm, size, seconds, dss in rows[["arm", "size", "seconds", "dss"]].itertuples(index=False):
        axes.plot(seconds, dss, "o", color=COLOURS[arm], markersize=4.5)
        axes.annotate(str(size), (seconds, dss), (4, 3), textcoords="offset points", fontsize=7.5)
    if len(rows) and rows["seconds"].max() > 5 * rows["seconds"].min():  # ticks of a shorter log scale overlap
        axes.set_xscale("log")
