"""Figure of the course of a patient: volumes of several CT scans, and the band in which an unchanged organ is measured.

A panel per organ, and one for their ratio; the first CT scan is the reference of the band.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from liverspleen.evaluation.measurements.patient_course import Reading
from liverspleen.evaluation.reporting.figures.bland_altman import BAND, INK, own_style, shortened
from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS
from liverspleen.evaluation.statistics.volume_change import VolumeChange
from liverspleen.organs import RATIO_KEY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN: Final = 3.54  # 90 mm, a column of a journal
_PANEL_IN: Final = 1.7
_BEYOND: Final = "#D55E00"


def course_figure(
    cases: Sequence[str], readings: Mapping[str, Sequence[Reading]], changes: Mapping[str, Sequence[VolumeChange]]
) -> Figure:
    """Return the course of each index; `changes` are those of the later CT scans against the first one.

    The band is the first volume ± %RC, in percent of the first volume; points beyond the interval of the %RC are
    squares. Undefined volumes leave a gap.
    """
    from matplotlib.figure import Figure

    with own_style():
        figure = Figure(figsize=(_WIDTH_IN, 0.5 + _PANEL_IN * len(readings)), layout="constrained")
        panels = figure.subplots(len(readings), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (index, found) in zip(panels, readings.items(), strict=True):
            _panel(axes, index, found, changes[index])
        panels[-1].set_xticks(range(len(cases)), [shortened(case, 12) for case in cases], parse_math=False)
        panels[-1].set_xlabel("CT scan, in the order of time")
    return figure


def _panel(axes: Axes, index: str, readings: Sequence[Reading], changes: Sequence[VolumeChange]) -> None:
    values = [float("nan") if reading.value is None else reading.value for reading in readings]
    first, band = readings[0].value, changes[0].band_of_first_pct
    if first is not None and band is not None and band[1] is not None:
        low, high = (first * (1 + end / 100) for end in (band[0], band[1]))
        axes.axhspan(low, high, color=BAND, alpha=0.15, linewidth=0, label="first CT scan ± %RC")
    axes.plot(range(len(values)), values, color=INK, linewidth=0.8, zorder=2)
    beyond = [False, *(change.verdict == "beyond" for change in changes)]
    for is_beyond, colour, marker, label in (
        (False, BAND, "o", "not beyond"),
        (True, _BEYOND, "s", "beyond measurement error"),
    ):
        places = [place for place, found in enumerate(beyond) if found == is_beyond]
        if places:
            axes.scatter(
                places, [values[place] for place in places], s=16, color=colour, marker=marker, label=label, zorder=3
            )
    axes.set_title(INDEX_LABELS.get(index, index), loc="left", fontsize=8.5, fontweight="bold")
    axes.set_ylabel("Ratio" if index == RATIO_KEY else "Volume (cm³)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.06, y=0.15)
    axes.legend(fontsize=6.5, frameon=False, loc="best")
