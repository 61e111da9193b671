"""Reliability diagrams: observed fraction against probability by bin, with the number of voxels of each bin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from liverspleen.evaluation.reporting.figures.bland_altman import BAND, INK, own_style
from liverspleen.evaluation.reporting.formatting import CALIBRATION_DIGITS, fixed
from liverspleen.evaluation.reporting.supplement.calibration import Reliability
from liverspleen.evaluation.statistics.calibration import EDGES, CalibrationBin
from liverspleen.organs import ORGANS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE_IN: Final = (3.54, 3.9)  # 90 mm, a column of a journal
_TITLES: Final = {organ.key: organ.title for organ in ORGANS}


def reliability_figure(reliability: Reliability) -> Figure:
    """Return the diagram of an organ for a journal column: a point per bin above, the voxels of each bin below.

    A point below the diagonal is a bin in which the probabilities are too high.
    """
    from matplotlib.figure import Figure

    with own_style():
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        bins = [one for one in reliability.calibration.bins if one.n]
        _points(above, bins)
        _counts(below, bins)
        above.set_title(
            f"{_TITLES[reliability.organ]}, n = {len(reliability.case_ids)}",
            loc="left",
            fontweight="bold",
            fontsize=8.5,
        )
        ece, brier = (
            fixed(value, CALIBRATION_DIGITS) for value in (reliability.calibration.ece, reliability.calibration.brier)
        )
        above.annotate(
            f"of all voxels:\nECE {ece}\nBrier score {brier}",
            (0.03, 0.97),
            xycoords="axes fraction",
            va="top",
            color=INK,
        )
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _points(axes: Axes, bins: list[CalibrationBin]) -> None:
    means, fractions = ([getattr(one, name) for one in bins] for name in ("mean_probability", "fraction"))
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8, linestyle="--", zorder=1)
    axes.vlines(means, means, fractions, color=BAND, alpha=0.35, linewidth=3, zorder=2)
    axes.plot(means, fractions, color=BAND, linewidth=1, marker="o", markersize=3.5, zorder=3, clip_on=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Fraction of voxels in the reference")


def _counts(axes: Axes, bins: list[CalibrationBin]) -> None:
    lower, widths = [one.lower for one in bins], [one.upper - one.lower for one in bins]
    axes.bar(lower, [one.n for one in bins], widths, align="edge", color=BAND, edgecolor="white", linewidth=0.5)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5)  # a bin of one voxel has a bar
    axes.set_xticks([EDGES[0], 0.2, 0.4, 0.6, 0.8, EDGES[-1]])
    axes.set_xlabel("Probability")
    axes.set_ylabel("Voxels")
