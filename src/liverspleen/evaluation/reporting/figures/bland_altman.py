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
from liverspleen.evaluation.reporting.formatting import LOA_DIGITS, fixed
from liverspleen.evaluation.reporting.paper_tables import Agreement
from liverspleen.evaluation.reporting.table_forms import INDEX_LABELS
from liverspleen.evaluation.reporting.table_layout import condition_label
from liverspleen.evaluation.statistics.bland_altman import BlandAltman
from liverspleen.evaluation.statistics.differences import Scale
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
_LABEL_WIDTH: Final = 40  # characters; two labels of this width fit side by side
MOST_VECTOR_POINTS: Final = 5_000
"""Above it, SVG and PDF contain the points as one image, so that files stay small; lines and text are not affected."""

INK: Final = "#333333"
"""Colour of text and lines."""

_DIFFERENCES: Final[dict[Scale, str]] = {
    "absolute": "Difference test − reference",
    "percent": "Difference test − reference, % of their mean",
    "log": "ln(test / reference)",
}


def plot_bland_altman(result: BlandAltman, ax: Axes | None = None) -> Axes:
    """Plot the differences of a Bland-Altman result against the means, with bias and limits of agreement.

    Args:
        result: result of `bland_altman` on any scale. Undefined bias and limits are not plotted; without any pair the
            plot shows the reason.
        ax: axes to plot on; None creates a new pyplot figure.

    Returns:
        The axes; their labels can be replaced.

    >>> from liverspleen.evaluation import bland_altman
    >>> ax = plot_bland_altman(bland_altman([101.0, 99.0, 103.0], [100.0, 100.0, 100.0]))
    >>> ax.get_title(), ax.get_ylabel()
    ('n = 3', 'Difference test − reference')
    >>> [round(line.get_ydata()[0], 2) for line in ax.lines]  # zero, bias, limits
    [0, 1.0, 4.92, -2.92]
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
    rasterized = result.n > MOST_VECTOR_POINTS
    _scatter(ax, result.averages, result.differences, colour, marker, rasterized=rasterized)
    _lines(ax, result, digits=_digits(result))
    return ax


def bland_altman_figure(agreement: Agreement, reader: str, reference: str, vocabulary: Vocabulary = PAPER) -> Figure:
    """Return the plot of percent differences against means of two readers, with a marker per condition.

    Conditions have the order of the vocabulary. Bias and limits are plotted with their values; undefined limits are
    omitted.
    """
    from matplotlib.figure import Figure

    with own_style():
        lines = len(set(agreement.conditions)) / 2  # of the legend, at most
        figure = Figure(figsize=(7.2, 4.6 + 0.2 * max(lines - 3, 0)), layout="constrained")
        axes = figure.add_subplot()
        _points(axes, agreement, vocabulary)
        _lines(axes, agreement.result, digits=LOA_DIGITS)
        index = INDEX_LABELS[agreement.index]
        reader, reference = shortened(reader, _LABEL_WIDTH // 2), shortened(reference, _LABEL_WIDTH // 2)
        axes.set_title(f"{index}, n = {agreement.result.n}", loc="left", fontweight="bold", fontsize=11)
        unit = "" if agreement.index == RATIO_KEY else " (cm³)"
        axes.set_xlabel(f"Mean of {reader} and {reference}: {index.lower()}{unit}", parse_math=False)
        label = f"Difference {reader} − {reference}, % of their mean"
        axes.set_ylabel(label if len(label) <= _LABEL_WIDTH else label.replace(", %", ",\n%"), parse_math=False)
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
        figure.savefig(buffer, format=form, dpi=200, metadata=_DATELESS[form])
        figure.set_layout_engine(None)  # with a layout engine, matplotlib renders the figure twice
    return buffer.getvalue()


def shortened(text: str, width: int) -> str:
    """Return `text` on one line, shortened with an ellipsis to at most `width` characters.

    >>> shortened("cirrhosis", 6)
    'cirrh…'
    """
    line = one_line(text)
    return line if len(line) <= width else f"{line[: width - 1]}…"


@contextmanager
def own_style() -> Iterator[None]:
    """Use the defaults of Matplotlib instead of the user's settings, and reproducible names in SVG files."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.hashsalt": "liverspleen", "axes.edgecolor": INK, "font.size": 9.5})
        yield


def _points(axes: Axes, agreement: Agreement, vocabulary: Vocabulary) -> None:
    marks = _marks(set(agreement.conditions), vocabulary)
    for condition, (colour, marker) in marks.items():
        inside = [position for position, name in enumerate(agreement.conditions) if name == condition]
        averages, differences = (
            [values[position] for position in inside]
            for values in (agreement.result.averages, agreement.result.differences)
        )
        _scatter(axes, averages, differences, colour, marker, rasterized=agreement.result.n > MOST_VECTOR_POINTS)
    if set(marks) == {""}:
        return
    labels = [shortened(condition_label(condition, vocabulary), _LABEL_WIDTH) for condition in marks]
    widest = sum(sorted(map(len, labels))[-3:])
    legend = axes.figure.legend(
        axes.collections,
        labels,
        loc="outside lower center",
        ncols=3 if widest <= 2 * _LABEL_WIDTH else 2,
        frameon=False,
        fontsize=8.5,
        handletextpad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _scatter(
    axes: Axes,
    averages: Sequence[float],
    differences: Sequence[float],
    colour: str,
    marker: str,
    *,
    rasterized: bool,
) -> None:
    axes.scatter(
        averages,
        differences,
        s=26,
        marker=marker,
        facecolors=colour,
        edgecolors="white",
        linewidths=0.5,
        alpha=0.9,
        zorder=3,
        rasterized=rasterized,
    )


def _marks(present: set[str], vocabulary: Vocabulary) -> dict[str, tuple[str, str]]:
    """Return colour and marker by condition; the conditions of the vocabulary have the same in all figures."""
    ordered = in_order({*present, *vocabulary.conditions} - {""}, vocabulary.conditions)
    marks = {name: _MARKS[position % len(_MARKS)] for position, name in enumerate(ordered)}
    marks[""] = _UNNAMED
    return {name: mark for name, mark in marks.items() if name in present}


def _lines(axes: Axes, result: BlandAltman, *, digits: int) -> None:
    axes.axhline(0, color="#BBBBBB", linewidth=0.8, zorder=1)
    limits = result.limits
    for name, value, style in (
        ("Mean", result.bias, "-"),
        (f"+{result.multiplier} SD", None if limits is None else limits.upper, "--"),
        (f"−{result.multiplier} SD", None if limits is None else limits.lower, "--"),
    ):
        if value is None or (name != "Mean" and not result.sd):
            continue
        axes.axhline(value, color=INK, linewidth=1.1, linestyle=style, zorder=2)
        axes.annotate(
            f"{name}\n{fixed(value, digits)}".replace("-", "−"),
            xy=(1.01, value),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            color=INK,
            annotation_clip=False,
        )


def _digits(result: BlandAltman) -> int:
    """Return the decimals of the printed values: as in the paper for percent, else three digits of the half-width."""
    if result.scale == "percent" or result.limits is None or not result.limits.half_width:
        return LOA_DIGITS
    return min(max(0, 2 - math.floor(math.log10(result.limits.half_width))), 9)
