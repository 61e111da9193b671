"""Figure of the course of a patient: volumes of several CT scans, and the band in which an unchanged organ is measured.

A panel per organ, and one for their ratio; the first CT scan is the reference of the band.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from liverspleen.evaluation.measurements.patient_course import Reading
from liverspleen.evaluation.reporting.figures.bland_altman import BAND, INK, own_style, shortened
from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS
from liverspleen.evaluation.statistics.volume_change import VolumeChange, is_comparable
from liverspleen.organs import RATIO_KEY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN: Final = 3.54  # 90 mm, a column of a journal
_PANEL_IN: Final = 1.7
_MARKS: Final = {
    "within": ("within measurement error", BAND, "o"),
    "between": ("within the interval of the %RC", "#E69F00", "D"),
    "beyond": ("beyond measurement error", "#D55E00", "s"),
    None: ("no verdict", "#777777", "x"),
}
"""Label, colour and marker by verdict; the first CT scan has those of `within`."""
_MOST_HORIZONTAL: Final = 5  # more names, or longer ones, are vertical
_NAME: Final = 12


def course_figure(
    cases: Sequence[str], readings: Mapping[str, Sequence[Reading]], changes: Mapping[str, Sequence[VolumeChange]]
) -> Figure:
    """Return the course of each index with a volume; `changes` are those of the later CT scans against the first one.

    The band is the first volume ± %RC, in percent of the first volume. Volumes that cannot be compared (truncated,
    absent, implausible) are crosses, and the line and the band leave them out.
    """
    from matplotlib.figure import Figure

    shown = [index for index, found in readings.items() if any(reading.value is not None for reading in found)]
    shown = shown or list(readings)[:1]
    names = [shortened(case, _NAME) for case in cases]
    vertical = len(names) > _MOST_HORIZONTAL or max(map(len, names)) > _NAME - 2
    with own_style():
        height = 0.5 + _PANEL_IN * len(shown) + 0.5 * vertical
        figure = Figure(figsize=(_WIDTH_IN, height), layout="constrained")
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, index in zip(panels, shown, strict=True):
            _panel(axes, index, readings[index], changes[index])
        size = 7.5 if len(names) <= 15 else 4.5
        panels[-1].set_xticks(range(len(names)), names, rotation=90 * vertical, fontsize=size, parse_math=False)
        panels[-1].set_xlabel("CT scan, in the order of time")
    return figure


def _panel(axes: Axes, index: str, readings: Sequence[Reading], changes: Sequence[VolumeChange]) -> None:
    usable = [is_comparable(reading.value, reading.status) for reading in readings]
    values = [float("nan") if reading.value is None else reading.value for reading in readings]
    band = changes[0].band_of_first_pct
    if usable[0] and band is not None and band[1] is not None:
        low, high = (values[0] * (1 + end / 100) for end in (band[0], band[1]))
        axes.axhspan(low, high, color=BAND, alpha=0.15, linewidth=0, label="first CT scan ± %RC")
    joined = [place for place, found in enumerate(usable) if found]
    axes.plot(joined, [values[place] for place in joined], color=INK, linewidth=0.8, zorder=2)
    verdicts = ["within" if usable[0] else None, *(change.verdict for change in changes)]
    for verdict, (label, colour, marker) in _MARKS.items():
        places = [place for place, found in enumerate(verdicts) if found == verdict and values[place] == values[place]]
        if places:
            axes.scatter(
                places, [values[place] for place in places], s=16, color=colour, marker=marker, label=label, zorder=3
            )
    axes.set_title(INDEX_LABELS.get(index, index), loc="left", fontsize=8.5, fontweight="bold")
    axes.set_ylabel("Ratio" if index == RATIO_KEY else "Volume (cm³)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.06, y=0.15)
    axes.legend(fontsize=6.5, frameon=False, loc="best")
