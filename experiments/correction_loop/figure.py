"""Figure: DSS on the test cases by corrections (left) and by minutes of the reader (right)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from loop import POLICIES, PROPOSED, RANDOM, WORST

from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {RANDOM: "#555555", WORST: "#E69F00", PROPOSED: "#0072B2"}  # Okabe and Ito 2008
NAMES = {RANDOM: "random", WORST: "worst first", PROPOSED: "proposed"}


def curves_figure(curves: pd.DataFrame) -> Figure:
    """Return the figure; bars are 95 % intervals, the dashed line is random order after all corrections."""
    from matplotlib.figure import Figure

    with own_style():
        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, unit, label in zip(panels, ("corrections", "minutes"), ("Corrections", "Minutes"), strict=True):
            for shift, policy in enumerate(POLICIES, start=-1):
                part = curves[curves["policy"] == policy].sort_values("round")
                limits = part[["lower", "upper"]].astype(float)
                bars = [(part["dss"] - limits["lower"]).fillna(0), (limits["upper"] - part["dss"]).fillna(0)]
                place = part[unit] + shift * 0.01 * curves[unit].max()  # bars side by side
                axes.errorbar(place, part["dss"], bars, color=COLOURS[policy], label=NAMES[policy], capsize=2)
            level = curves[curves["policy"] == RANDOM].sort_values("round")["dss"].iloc[-1]
            axes.axhline(level, color=COLOURS[RANDOM], linestyle="--", linewidth=1)
            axes.set_xlabel(label)
            axes.tick_params(colors=INK)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_xticks(sorted(curves["corrections"].unique()))
        panels[0].set_ylabel("Mean DSS of liver and spleen")
        panels[0].legend(frameon=False, fontsize=8.5, loc="lower right")
    return figure
