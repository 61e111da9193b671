"""Figure: DSS on the new test cases by step (left), and on both populations at the end (right)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from trainings import FEW, MANY, PARENT, START

from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {START: "#0072B2", MANY: "#009E73", FEW: "#E69F00", PARENT: "#555555"}  # Okabe and Ito 2008


def curves_figure(curves: pd.DataFrame, arms: pd.DataFrame, names: dict[str, str]) -> Figure:
    """Return the figure; thin lines are seeds, thick lines their mean, the dashed line the old model as it is."""
    from matplotlib.figure import Figure

    with own_style():
        figure = Figure(figsize=(9.0, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
        for arm in (START, MANY, FEW):
            table = curves[curves["arm"] == arm].pivot_table(index="step", columns="seed", values="dss")
            left.plot(table.index, table.to_numpy(), color=COLOURS[arm], linewidth=0.6, alpha=0.6)
            left.plot(table.index, table.mean(axis=1), color=COLOURS[arm], linewidth=2, label=names[arm])
        level = arms.set_index(["arm", "population"]).loc[(PARENT, "new"), "dss"]
        left.axhline(level, color=COLOURS[PARENT], linestyle="--", linewidth=1.2, label=names[PARENT])
        _populations(right, arms, names)
        left.set_xlabel("Steps")
        left.set_ylabel("Mean DSS of liver and spleen")
        left.set_title("New test cases, during the training", loc="left", fontweight="bold")
        left.legend(frameon=False, fontsize=8.5, loc="lower right")
        right.set_title("After the last step", loc="left", fontweight="bold")
        for axes in (left, right):
            axes.tick_params(colors=INK)
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _populations(axes: Axes, arms: pd.DataFrame, names: dict[str, str]) -> None:
    """Plot the mean DSS on old and new test cases, with a line for each arm."""
    for arm, part in arms.groupby("arm"):
        ordered = part.set_index("population").loc[["old", "new"]]["dss"]
        axes.plot([0, 1], ordered, marker="o", color=COLOURS[str(arm)], label=names[str(arm)])
    axes.set_xticks([0, 1], ["old cases", "new cases"])
    axes.set_xlim(-0.3, 1.3)
