"""Forest plot of two readers: shift of the DSS in all cases and in each condition, from given cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.evaluation.reporting.cells import PAIRED
from liverspleen.evaluation.reporting.compare.build import ReaderComparison
from liverspleen.evaluation.reporting.compare.tables import SHIFT_DIGITS
from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style, shortened
from liverspleen.evaluation.reporting.formatting import fixed
from liverspleen.evaluation.reporting.table_layout import condition_label
from liverspleen.organs import ORGAN_KEYS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from liverspleen.evaluation.reporting.cells import Cell

_WIDEST: Final = 36  # maximum characters of a label
_TOTAL: Final = "total"


def forest_figure(comparison: ReaderComparison, pair: tuple[str, str]) -> Figure:
    """Return the plot of the DSS shift, first minus second reader, with 95 % CI, n and values; a panel per structure.

    A row with fewer than six cases has a point without an interval; a row without a case is omitted.
    """
    from matplotlib.figure import Figure

    table = comparison.table("score_subgroups")
    column = PAIRED.join(pair)
    panels = {
        structure: [
            (row.partition(":")[2], cells[column])
            for row, cells in table.items()
            if row.partition(":")[0] == structure and cells[column].n
        ]
        for structure in ORGAN_KEYS
    }
    shown = {structure: rows for structure, rows in panels.items() if rows}
    heights = [len(rows) + 1 for rows in shown.values()]
    with own_style():
        figure = Figure(figsize=(7.0, 1.0 + 0.34 * sum(heights) + 0.4 * len(shown)), layout="constrained")
        axes = figure.subplots(len(shown), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for panel, (structure, rows) in zip(axes, shown.items(), strict=True):
            _panel(panel, rows, comparison.vocabulary)
            panel.set_title(f"DSS, {structure}", loc="left", fontweight="bold", fontsize=10)
        first, second = (shortened(name, _WIDEST // 2) for name in pair)
        axes[-1].set_xlabel(f"Shift of the DSS, {first} − {second} (positive: {first} is better)", parse_math=False)
    return figure


def _panel(axes: Axes, rows: Sequence[tuple[str, Cell]], vocabulary: Vocabulary) -> None:
    axes.axvline(0, color="#BBBBBB", linewidth=0.9, zorder=1)
    labels = []
    for position, (group, cell) in enumerate(rows):
        value, lower, upper = (cell.values[name] for name in ("hodges_lehmann", "ci_lower", "ci_upper"))
        total = group == _TOTAL
        if lower is not None and upper is not None:
            axes.plot([lower, upper], [position, position], color=INK, linewidth=1.4, solid_capstyle="butt", zorder=2)
        assert value is not None  # defined if there is a case
        marker, colour = ("D", "#D55E00") if total else ("s", "#0072B2")
        axes.scatter(value, position, s=46, marker=marker, color=colour, zorder=3)
        label = "All cases" if total else shortened(condition_label(group, vocabulary), _WIDEST)
        labels.append(f"{label} (n = {cell.n})")
        interval = "" if lower is None else f" ({fixed(lower, SHIFT_DIGITS)} to {fixed(upper, SHIFT_DIGITS)})"
        axes.annotate(
            f"{fixed(value, SHIFT_DIGITS)}{interval}".replace("-", "−"),
            xy=(1.02, position),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            color=INK,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(rows)), labels)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
