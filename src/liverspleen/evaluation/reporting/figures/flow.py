"""Plot of Figure 1: a flow diagram with counts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from liverspleen.cohort.vocabulary import PAPER, Vocabulary
from liverspleen.errors import counted
from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style, shortened
from liverspleen.evaluation.reporting.flow import Branch, Flow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lengths are in inches. The text is 9 points; a character is about 0.075 inch wide.
_LINE: Final = 0.18
_PADDING: Final = 0.12
_GAP: Final = 0.4
_SIDE_GAP: Final = 0.2
_MARGIN: Final = 0.1
_WIDTH: Final = 7.2
_BRANCH: Final = 2.3
_CHARACTERS: Final = 13.5  # per inch
_NAME: Final = 60  # maximum characters of a name
_REASON: Final = 140
_UNITS: Final = {"patients": "patient", "CT": "CT scan"}
_FILL: Final = "#F4F7FA"
_ALARM: Final = "#D55E00"


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    width: float
    lines: tuple[str, ...]
    bold: int = 1  # lines in bold, from the first
    alarm: bool = False

    @property
    def height(self) -> float:
        return _LINE * len(self.lines) + 2 * _PADDING

    @property
    def bottom(self) -> float:
        return self.top - self.height

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def flow_figure(flow: Flow, vocabulary: Vocabulary = PAPER) -> Figure:
    """Return the flow diagram from the assessed patients and the exclusions to the datasets and their parts.

    An unexplained difference of the stated numbers has its own box.
    """
    from matplotlib.figure import Figure

    width = max(_WIDTH, len(flow.branches) * (_BRANCH + _SIDE_GAP) + 2 * _MARGIN)
    trunk, side, branches = _boxes(flow, vocabulary, width)
    lowest = min(box.bottom for box in [*trunk, *side, *branches])
    with own_style():
        figure = Figure(figsize=(width, _MARGIN - lowest))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(lowest - _MARGIN, 0))
        axes.axis("off")
        for box in [*trunk, *side, *branches]:
            _draw(axes, box)
        _connect(axes, trunk, side, branches)
    return figure


def _boxes(flow: Flow, vocabulary: Vocabulary, width: float) -> tuple[list[_Box], list[_Box], list[_Box]]:
    """Return the boxes of the trunk, of the exclusions beside it, and of the datasets below it."""
    top, trunk, side = -_MARGIN, [], []
    if flow.exclusions is not None:
        trunk.append(_box(0.5, top, 3.1, [f"Assessed (n = {counted(flow.assessed or 0, 'patient')})"]))
        lines = [f"Excluded (n = {flow.exclusions.total})"]
        lines += [f"{shortened(reason, _REASON)} {_number(count)}" for reason, count in flow.exclusions.reasons]
        side.append(_box(width - 3.1 - _MARGIN, trunk[0].bottom - _GAP / 2, 3.1, lines))
        if flow.unexplained:
            text = [f"Unexplained difference (n = {flow.unexplained:+d})".replace("-", "−")]
            side.append(_box(width - 3.1 - _MARGIN, side[0].bottom - _SIDE_GAP / 2, 3.1, text, alarm=True))
        top = side[-1].bottom - _GAP / 2
    left = 0.5 if flow.exclusions is not None else (width - 3.1) / 2
    trunk.append(
        _box(
            left,
            top,
            3.1,
            [f"Included (n = {counted(flow.patients, 'patient')})", counted(flow.examinations, "CT scan")],
        )
    )
    return trunk, side, _branches(flow, vocabulary, width, trunk[-1].bottom - _GAP)


def _branches(flow: Flow, vocabulary: Vocabulary, width: float, top: float) -> list[_Box]:
    number = len(flow.branches)
    each = min((width - 2 * _MARGIN - (number - 1) * _SIDE_GAP) / number, 3.1)
    left = (width - number * each - (number - 1) * _SIDE_GAP) / 2
    return [
        _box(left + position * (each + _SIDE_GAP), top, each, _branch_lines(branch, vocabulary))
        for position, branch in enumerate(flow.branches)
    ]


def _branch_lines(branch: Branch, vocabulary: Vocabulary) -> list[str]:
    lines = [shortened(vocabulary.label(branch.dataset), _NAME)]
    lines.append(f"{counted(branch.patients, 'patient')}, {counted(branch.examinations, 'CT scan')}")
    # "n =" precedes the count; directly after a right-to-left name the count would change places with the name.
    lines += [
        f"{shortened(part.label, _NAME)} {_number(counted(part.count, _UNITS[part.unit]))}" for part in branch.parts
    ]
    if branch.paired_patients:
        lines.append(f"Both sites {_number(counted(branch.paired_patients, 'patient'))}")
    return lines


def _number(count: int | str) -> str:
    return f"(n = {count})".replace(" ", "\N{NO-BREAK SPACE}")


def _box(left: float, top: float, width: float, lines: Sequence[str], *, alarm: bool = False) -> _Box:
    """Return a box with wrapped lines; the first line is bold."""
    room = max(int((width - 2 * _PADDING) * _CHARACTERS), 8)
    broken = [textwrap.wrap(line, room, subsequent_indent="  ") or [""] for line in lines]
    return _Box(left, top, width, tuple(part for parts in broken for part in parts), len(broken[0]), alarm)


def _draw(axes: Axes, box: _Box) -> None:
    from matplotlib.patches import Rectangle

    colour = _ALARM if box.alarm else INK
    axes.add_patch(Rectangle((box.left, box.bottom), box.width, box.height, facecolor=_FILL, edgecolor=colour))
    for number, line in enumerate(box.lines):
        axes.text(
            box.left + _PADDING,
            box.top - _PADDING - (number + 0.5) * _LINE,
            line,
            va="center",
            fontsize=9,
            fontweight="bold" if number < box.bold else "normal",
            color=colour,
            parse_math=False,
        )


def _connect(axes: Axes, trunk: Sequence[_Box], side: Sequence[_Box], branches: Sequence[_Box]) -> None:
    last = trunk[-1]
    for upper, lower in pairwise(trunk):
        _arrow(axes, (upper.middle, upper.bottom), (lower.middle, lower.top))
    for box in side:
        height = box.top - box.height / 2
        _arrow(axes, (trunk[0].middle, height), (box.left, height))
    if not branches:
        return
    joint = last.bottom - _GAP / 2
    axes.plot([last.middle, last.middle], [last.bottom, joint], color=INK, linewidth=1)
    ends = [last.middle, *(box.middle for box in branches)]
    axes.plot([min(ends), max(ends)], [joint, joint], color=INK, linewidth=1)
    for box in branches:
        _arrow(axes, (box.middle, joint), (box.middle, box.top))


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0, "linewidth": 1}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)
