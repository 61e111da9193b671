"""Figure: mean DSS by the number of training patients, for each organ."""

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

_SHIFT = 0.04  # of the points of an arm, as a fraction of a doubling of the patients


def dss_figure(arms: pd.DataFrame, names: dict[str, str]) -> Figure:
    """Return the figure; bars are 95 % intervals, and the dashed line is the start model as it is."""
    from matplotlib.figure import Figure

    with own_style():
        figure = Figure(figsize=(4.5 * len(ORGANS), 4.2), layout="constrained")
        axes = figure.subplots(1, len(ORGANS), sharey=True, squeeze=False)[0]
        for one, organ in zip(axes, ORGANS, strict=True):
            _plot(one, arms[arms["structure"] == organ.key], names)
            one.set_title(organ.key.capitalize(), loc="left", fontweight="bold")
            one.set_xlabel("Training patients")
            one.tick_params(colors=INK)
            one.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("Mean DSS of the test patients")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=8.5)
    return figure


def _plot(axes: Axes, rows: pd.DataFrame, names: dict[str, str]) -> None:
    sizes = sorted({*rows["size"]} - {0})
    for number, arm in enumerate(COLOURS):
        part = rows[rows["arm"] == arm].dropna(subset=["dss"])
        if arm == AS_IS:
            for dss in part["dss"]:
                axes.axhline(dss, color=COLOURS[arm], linestyle="--", linewidth=1.2, label=names[arm])
            continue
        if part.empty:
            continue
        x = [size * 2 ** (_SHIFT * (number - 1.5)) for size in part["size"]]
        bars = [part["dss"] - part["lower"], part["upper"] - part["dss"]]  # undefined intervals are not drawn
        axes.errorbar(
            x, part["dss"], yerr=bars, fmt="o-", color=COLOURS[arm], markersize=4.5, capsize=2.5, label=names[arm]
        )
    if sizes:
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
