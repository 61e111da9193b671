"""Step 5: figure of bias and limits of agreement by slice thickness, for masks (left) and networks (right)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from networks import RECIPES
from slabs import READERS
from summary import STRUCTURES

from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00")  # Okabe and Ito 2008
_MARKERS = ("o", "s", "^", "v")
_TITLES = {"liver": "Liver", "spleen": "Spleen", "ratio": "Liver/spleen ratio"}


def thickness_figure(masks: pd.DataFrame, models: pd.DataFrame | None) -> Figure:
    """Return the figure of the tables of masks and networks; it has one column if `models` is None."""
    from matplotlib.figure import Figure

    columns = [("Masks alone, by reader", masks, "reader", READERS)]
    if models is not None:
        columns.append(("Networks, by neighbours", models, "recipe", RECIPES))
    with own_style():
        figure = Figure(figsize=(4.5 * len(columns), 8.4), layout="constrained")
        axes = figure.subplots(len(STRUCTURES), len(columns), sharex=True, sharey="row", squeeze=False)
        for position, (title, table, column, names) in enumerate(columns):
            for row, structure in zip(axes, STRUCTURES, strict=True):
                _plot(row[position], table[table["structure"] == structure], column, names)
                row[0].set_ylabel(f"{_TITLES[structure]}\nerror, % of the truth")
            axes[0][position].set_title(title, loc="left", fontweight="bold")
            axes[0][position].legend(frameon=False, fontsize=8.5, ncols=2, loc="upper left")
            axes[-1][position].set_xlabel("Slice thickness (mm)")
    return figure


def _plot(axes: Axes, table: pd.DataFrame, column: str, names: tuple[str, ...]) -> None:
    """Plot a marker at each bias and a bar between its limits of agreement."""
    thicknesses = sorted(table["thickness_mm"].unique())
    axes.axhline(0, color="#BBBBBB", linewidth=0.8, zorder=1)
    for index, name in enumerate(names):
        part = table[table[column] == name].sort_values("thickness_mm")
        x = [thicknesses.index(value) + 0.16 * (index - (len(names) - 1) / 2) for value in part["thickness_mm"]]
        bias = part["bias_pct"].to_numpy()
        bars = [bias - part["loa_lower_pct"].to_numpy(), part["loa_upper_pct"].to_numpy() - bias]
        axes.errorbar(
            x, bias, yerr=bars, fmt=_MARKERS[index], color=_COLOURS[index], markersize=4.5, capsize=2.5, label=name
        )
    axes.set_xticks(range(len(thicknesses)), [f"{value:g}" for value in thicknesses])
    axes.tick_params(colors=INK, labelbottom=True)
    axes.spines[["top", "right"]].set_visible(False)
