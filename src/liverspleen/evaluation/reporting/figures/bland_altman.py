"""Bland-Altman figures from given results, figures as files, and the common style."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, get_args

from liverspleen.cohort.vocabulary import PAPER, Vocabulary, in_order
from liverspleen.errors import one_line
from liverspleen.evaluation.reporting.figures.fonts import installed_fonts, with_font_list
from liverspleen.evaluation.reporting.formatting import LOA_DIGITS, fixed
from liverspleen.evaluation.reporting.paper_tables import Agreement
from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS
from liverspleen.evaluation.reporting.table_layout import condition_label
from liverspleen.evaluation.statistics.bland_altman import BlandAltman
from liverspleen.evaluation.statistics.differences import Scale
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.organs import RATIO_KEY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Form = Literal["svg", "pdf", "png"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)

_DATELESS: Final[dict[Form, dict[str, None]]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}

# Colours of Okabe and Ito 2008, distinguishable with any colour vision; the markers are distinguishable in grey.
_MARKS: Final = (
    ("#0072B2", "o"),
    ("#E69F00", "s"),
    ("#009E73", "^"),
    ("#D55E00", "D"),
    ("#CC79A7", "v"),
    ("#56B4E9", "P"),
    ("#000000", "X"),
    ("#B8A800", "<"),
)
_UNNAMED: Final = ("#777777", "p")
_ALPHA: Final = 0.9
_MANY_ALPHA: Final = 0.25
_LABEL_WIDTH: Final = 40  # characters of a label of the legend
_LEGEND_LINE: Final = 46  # characters of two labels that fit side by side
_WIDTH_IN: Final = 3.54  # 90 mm, a column of a journal
FEWEST_FOR_LIMITS: Final = 5
"""Pairs from which a figure shows limits of agreement; the tables have them from two pairs on."""
BAND: Final = "#0072B2"
"""Colour of confidence bands."""
MOST_VECTOR_POINTS: Final = 5_000
"""Above it, points are small, and one image in SVG and PDF, so that files stay small; lines and text are drawn."""

INK: Final = "#333333"
"""Colour of text and lines."""

_DIFFERENCES: Final[dict[Scale, str]] = {
    "absolute": "Difference test − reference",
    "percent": "Difference test − reference, % of their mean",
    "log": "Ratio test / reference",
}
_TITLES: Final[dict[Scale, str]] = {
    "absolute": "Difference {reader} − {reference}{unit}",
    "percent": "Difference {reader} − {reference}, % of their mean",
    "log": "Ratio {reader} / {reference}",
}


def plot_bland_altman(result: BlandAltman, ax: Axes | None = None) -> Axes:
    """Plot the differences of a Bland-Altman result against the means, with bias, limits of agreement, and their bands.

    The bands are the 95 % confidence intervals (or those of the result's confidence). On the log scale the axis shows
    ratios.

    Args:
        result: result of `bland_altman` on any scale. Undefined bias and limits are not plotted, nor limits of fewer
            than five pairs; without any pair the plot shows the reason.
        ax: axes to plot on; None creates a new pyplot figure.

    Returns:
        The axes; their labels can be replaced.

    >>> from liverspleen.evaluation import bland_altman
    >>> ax = plot_bland_altman(bland_altman([101.0, 99.0, 103.0, 100.0, 102.0], [100.0] * 5))
    >>> ax.get_title(), ax.get_ylabel()
    ('n = 5', 'Difference test − reference')
    >>> [round(line.get_ydata()[0], 2) for line in ax.lines]  # zero, bias, limits
    [0, 1.0, 4.1, -2.1]
    """
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(layout="constrained")
    ax.set_title(f"n = {result.n}" + (f" ({result.n_dropped} dropped)" if result.n_dropped else ""))
    ax.set_xlabel("Mean of test and reference")
    ax.set_ylabel(_DIFFERENCES[result.scale])
    if not result.n:
        ax.annotate(str(result.reason), xy=(0.5, 0.5), xycoords="axes fraction", ha="center", color=INK)
        return ax
    colour, marker = _MARKS[0]
    _scatter(ax, result.averages, result.differences, colour, marker, many=result.n > MOST_VECTOR_POINTS)
    _lines(ax, result, digits=_digits(result))
    return ax


def bland_altman_figure(agreement: Agreement, reader: str, reference: str, vocabulary: Vocabulary = PAPER) -> Figure:
    """Return the plot of differences against means of two readers, with a marker per condition, for a journal column.

    Conditions have the order of the vocabulary. Bias and limits are plotted with their values and bands; undefined
    limits, and those of fewer than five pairs, are omitted.
    """
    from matplotlib.figure import Figure

    with own_style():
        figure = Figure(figsize=(_WIDTH_IN, 2.75), layout="constrained")
        axes = figure.add_subplot()
        lines = _points(axes, agreement, vocabulary)
        figure.set_size_inches(_WIDTH_IN, 2.75 + 0.15 * lines)
        _lines(axes, agreement.result, digits=_digits(agreement.result))
        index = INDEX_LABELS[agreement.index]
        reader, reference = shortened(reader, _LABEL_WIDTH // 2), shortened(reference, _LABEL_WIDTH // 2)
        axes.set_title(f"{index}, n = {agreement.result.n}", loc="left", fontweight="bold", fontsize=8.5)
        unit = "" if agreement.index == RATIO_KEY else " (cm³)"
        axes.set_xlabel(_wrapped(f"Mean of {reader} and {reference}: {index.lower()}{unit}"), parse_math=False)
        names = {"reader": reader, "reference": reference, "unit": unit}
        axes.set_ylabel(_wrapped(_TITLES[agreement.result.scale].format(**names)), parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.04, y=0.12)
    return figure


def figure_bytes(figure: Figure, form: Form) -> bytes:
    """Return the figure as the content of a file; the same figure and order of formats give the same bytes.

    The layout is computed for the first format and reused for the others, so all formats have the same layout.
    """
    buffer = io.BytesIO()
    with own_style(), warnings.catch_warnings():
        # Characters that are missing in the font appear as boxes, which is not an error.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=form, dpi=300, metadata=_DATELESS[form])
        figure.set_layout_engine(None)  # with a layout engine, matplotlib renders the figure twice
    return with_font_list(buffer.getvalue()) if form == "svg" else buffer.getvalue()


def shortened(text: str, width: int) -> str:
    """Return `text` on one line, shortened with an ellipsis to at most `width` characters.

    >>> shortened("cirrhosis", 6)
    'cirrh…'
    """
    line = one_line(text)
    return line if len(line) <= width else f"{line[: width - 1]}…"


@contextmanager
def own_style() -> Iterator[None]:
    """Use the defaults of Matplotlib instead of the user's settings, and what journals ask for.

    PDF files embed TrueType fonts (Type 42), text in SVG files stays text, and names in SVG files are reproducible.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.hashsalt": "liverspleen",
                "svg.fonttype": "none",
                "pdf.fonttype": 42,
                "font.family": installed_fonts(),
                "font.size": 7.5,
                "axes.edgecolor": INK,
                "axes.linewidth": 0.7,
            }
        )
        yield


def _wrapped(label: str) -> str:
    """Return a label of an axis in two lines if it is long; the second one begins after a comma or colon."""
    for separator in (", ", ": "):
        if len(label) > _LABEL_WIDTH and separator in label:
            return (separator.strip() + "\n").join(label.rsplit(separator, 1))
    return label


def drawn_cases(agreement: Agreement, vocabulary: Vocabulary = PAPER) -> tuple[str, ...]:
    """Return the cases of the points in the order in which the figure draws them; none if the points are an image."""
    if agreement.result.n > MOST_VECTOR_POINTS:
        return ()
    found = _positions(agreement, vocabulary).values()
    return tuple(agreement.case_ids[position] for inside in found for position in inside)


def _positions(agreement: Agreement, vocabulary: Vocabulary) -> dict[str, list[int]]:
    """Return the positions of the pairs of each condition, in the order of the legend."""
    found: dict[str, list[int]] = {name: [] for name in _marks(set(agreement.conditions), vocabulary)}
    for position, name in enumerate(agreement.conditions):
        found[name].append(position)
    return found


def _points(axes: Axes, agreement: Agreement, vocabulary: Vocabulary) -> int:
    """Plot the points of each condition, and return the number of lines of the legend."""
    marks, many = _marks(set(agreement.conditions), vocabulary), agreement.result.n > MOST_VECTOR_POINTS
    for condition, inside in _positions(agreement, vocabulary).items():
        colour, marker = marks[condition]
        averages, differences = (
            [values[position] for position in inside]
            for values in (agreement.result.averages, agreement.result.differences)
        )
        _scatter(axes, averages, differences, colour, marker, many=many)
    if set(marks) == {""}:
        return 0
    labels = [shortened(condition_label(condition, vocabulary), _LABEL_WIDTH) for condition in marks]
    columns = 2 if sum(sorted(map(len, labels))[-2:]) <= _LEGEND_LINE else 1
    legend = axes.figure.legend(
        axes.collections,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=7,
        labelspacing=0.3,
        handletextpad=0.2,
        markerscale=3 if many else 1,
    )
    for handle in filter(None, legend.legend_handles):
        handle.set_alpha(_ALPHA)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return math.ceil(len(labels) / columns)


def _scatter(
    axes: Axes,
    averages: Sequence[float],
    differences: Sequence[float],
    colour: str,
    marker: str,
    *,
    many: bool,
) -> None:
    axes.scatter(
        averages,
        differences,
        s=2 if many else 13,
        marker=marker,
        facecolors=colour,
        edgecolors="none" if many else "white",
        linewidths=0.3,
        alpha=_MANY_ALPHA if many else _ALPHA,
        zorder=1.5 if many else 3,  # many points would hide the lines
        rasterized=many,
    )


def _marks(present: set[str], vocabulary: Vocabulary) -> dict[str, tuple[str, str]]:
    """Return colour and marker by condition; the conditions of the vocabulary have the same in all figures."""
    ordered = in_order({*present, *vocabulary.conditions} - {""}, vocabulary.conditions)
    marks = {name: _MARKS[position % len(_MARKS)] for position, name in enumerate(ordered)}
    marks[""] = _UNNAMED
    return {name: mark for name, mark in marks.items() if name in present}


def _lines(axes: Axes, result: BlandAltman, *, digits: int) -> None:
    axes.axhline(0, color="#BBBBBB", linewidth=0.6, zorder=1)
    if result.scale == "log":
        from matplotlib.ticker import FuncFormatter

        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{math.exp(value):.{digits}f}"))
    shown = result.limits if result.n >= FEWEST_FOR_LIMITS and result.sd else None
    bands = _bands(result) if shown is not None else (None, None, None)
    for name, value, style, band in (
        ("Mean", result.bias, "-", bands[0]),
        (f"+{result.multiplier} SD", None if shown is None else shown.upper, "--", bands[1]),
        (f"−{result.multiplier} SD", None if shown is None else shown.lower, "--", bands[2]),
    ):
        if value is None:
            continue
        if band is not None:
            axes.axhspan(*band, color=BAND, alpha=0.13, linewidth=0, zorder=0.5)
        axes.axhline(value, color=INK, linewidth=0.9, linestyle=style, zorder=2)
        printed = math.exp(value) if result.scale == "log" else value
        axes.annotate(
            f"{name}\n{fixed(printed, digits)}".replace("-", "−"),
            xy=(1.01, value),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7,
            color=INK,
            annotation_clip=False,
        )


def _bands(result: BlandAltman) -> tuple[Interval | None, Interval | None, Interval | None]:
    """Return the confidence intervals of bias, upper and lower limit; those of the tables."""
    if result.intervals is None:
        return None, None, None
    limits = result.intervals.exact or result.intervals.mover
    return result.intervals.bias_ci, limits.loa_upper_ci, limits.loa_lower_ci


def _digits(result: BlandAltman) -> int:
    """Return the decimals of the printed values: as in the paper for percent, else three digits of the half-width."""
    if result.scale == "log":
        return 3
    if result.scale == "percent" or result.limits is None or not result.limits.half_width:
        return LOA_DIGITS
    return min(max(0, 2 - math.floor(math.log10(result.limits.half_width))), 9)
