"""Plot of Figure 3: CT, reference, prediction and errors of one slice per case, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.vocabulary import PAPER, Vocabulary
from liverspleen.evaluation.reporting.figures.bland_altman import INK, own_style, shortened
from liverspleen.evaluation.reporting.formatting import DSS_DIGITS, fixed
from liverspleen.evaluation.reporting.overlay import Overlay
from liverspleen.evaluation.reporting.table_layout import condition_label
from liverspleen.organs import ORGANS, Structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW_HU: Final = (-110, 190)
"""Values from black to white, for soft tissue: centre 40, width 300."""
_BODY_HU: Final = -400  # lower values are air around the patient
_MARGIN_MM: Final = 8.0
_COLUMNS: Final = ("CT", "Reference", "Prediction", "Errors")
_ALPHA: Final = 0.5

ORGAN_COLOURS: Final = {int(organ): organ.facts.colour for organ in ORGANS}
# red and blue as in the paper; no colour of an organ
ERROR_COLOURS: Final = {1: "#FF2020", 2: "#2060FF", 3: "#C020C0"}
ERROR_NAMES: Final = {1: "False positive", 2: "False negative", 3: "Other organ"}

# Inches
_PANEL: Final = 1.9
_GAP: Final = 0.04
_CAPTION: Final = 0.26
_HEADER: Final = 0.26
_LEGEND: Final = 0.36
_NAME: Final = 40  # characters


def overlay_figure(overlays: Sequence[Overlay], vocabulary: Vocabulary = PAPER) -> Figure:
    """Return the figure with one row per case; its id, slice and DSS are above the row.

    Pixels have their physical aspect ratio. The patient's right side is on the left.

    Raises:
        ValueError: `overlays` is empty.
    """
    from matplotlib.figure import Figure

    if not overlays:
        raise ValueError("no case to show")
    frames = [_frame(overlay) for overlay in overlays]
    heights = [_PANEL * _aspect(overlay, frame) for overlay, frame in zip(overlays, frames, strict=True)]
    width = len(_COLUMNS) * (_PANEL + _GAP) + _GAP
    total = _HEADER + sum(height + _CAPTION for height in heights) + _LEGEND
    with own_style():
        figure = Figure(figsize=(width, total), facecolor="white")
        top = total - _HEADER
        for column, title in enumerate(_COLUMNS):
            x = (_GAP + column * (_PANEL + _GAP) + _PANEL / 2) / width
            figure.text(x, (top + _HEADER / 2) / total, title, ha="center", va="center", fontweight="bold", color=INK)
        for overlay, frame, height in zip(overlays, frames, heights, strict=True):
            _caption(figure, overlay, vocabulary, (_GAP / width, (top - _CAPTION / 2) / total))
            top -= _CAPTION
            for column in range(len(_COLUMNS)):
                left = _GAP + column * (_PANEL + _GAP)
                place = (left / width, (top - height) / total, _PANEL / width, height / total)
                _panel(figure.add_axes(place), overlay, frame, _COLUMNS[column])
            top -= height
        _legend(figure, any((overlay.errors == 3).any() for overlay in overlays))
    return figure


def _frame(overlay: Overlay) -> tuple[slice, slice]:
    """Return rows and columns of the body and all labels, with a margin; the whole slice if there is neither."""
    from scipy import ndimage

    shown = (overlay.reference > 0) | (overlay.prediction > 0)
    parts, number = ndimage.label(overlay.hu > _BODY_HU)
    if number:  # the largest component is the body; others are arms and table
        shown |= parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    rows, columns = (
        _span(np.flatnonzero(shown.any(axis=axis)), shown.shape[1 - axis], round(_MARGIN_MM / spacing))
        for axis, spacing in zip((1, 0), overlay.spacing_mm, strict=True)
    )
    return rows, columns


def _span(inside: NDArray[np.intp], size: int, margin: int) -> slice:
    if not inside.size:
        return slice(0, size)
    return slice(max(int(inside[0]) - margin, 0), min(int(inside[-1]) + margin + 1, size))


def _aspect(overlay: Overlay, frame: tuple[slice, slice]) -> float:
    """Return the height of the frame divided by its width, both in mm."""
    rows, columns = overlay.hu[frame].shape
    return float(rows * overlay.spacing_mm[0] / (columns * overlay.spacing_mm[1]))


def _caption(figure: Figure, overlay: Overlay, vocabulary: Vocabulary, place: tuple[float, float]) -> None:
    scores = ", ".join(f"{key} {fixed(dss, DSS_DIGITS)}" for key, dss in overlay.dss.items())
    text = (
        f"{shortened(condition_label(overlay.condition, vocabulary), _NAME)} · {shortened(overlay.case_id, _NAME)} · "
        f"slice {overlay.slice_index} of {overlay.slices} · DSS {scores}"
    )
    figure.text(*place, text, va="center", fontsize=8.5, color=INK, parse_math=False)


def _panel(axes: Axes, overlay: Overlay, frame: tuple[slice, slice], title: str) -> None:
    aspect = overlay.spacing_mm[0] / overlay.spacing_mm[1]
    shown: dict[str, Any] = {"origin": "upper", "interpolation": "nearest", "aspect": aspect}
    low, high = WINDOW_HU
    axes.imshow(overlay.hu[frame], cmap="gray", vmin=low, vmax=high, **shown)
    if title == "Errors":
        axes.imshow(_coloured(overlay.errors[frame], ERROR_COLOURS, alpha=0.85), **shown)
    elif title != "CT":
        labels = overlay.reference if title == "Reference" else overlay.prediction
        axes.imshow(_coloured(labels[frame], ORGAN_COLOURS, alpha=_ALPHA), **shown)
    else:
        for x, side in ((0.03, "R"), (0.97, "L")):
            axes.text(x, 0.94, side, transform=axes.transAxes, ha="center", va="center", fontsize=7.5, color="white")
    axes.axis("off")


def _coloured(labels: NDArray[np.uint8], colours: dict[int, str], *, alpha: float) -> NDArray[np.float64]:
    """Return an RGBA image of the labels, transparent for background."""
    from matplotlib.colors import to_rgba

    picture = np.zeros((*labels.shape, 4))
    for value, colour in colours.items():
        picture[labels == value] = to_rgba(colour, alpha)
    return picture


def _legend(figure: Figure, other_organ: bool) -> None:
    from matplotlib.patches import Patch

    organs = [Patch(color=colour, alpha=_ALPHA, label=Structure(value).key) for value, colour in ORGAN_COLOURS.items()]
    kinds = [kind for kind in ERROR_COLOURS if kind != 3 or other_organ]
    errors = [Patch(color=ERROR_COLOURS[kind], label=ERROR_NAMES[kind].lower()) for kind in kinds]
    handles = [*organs, *errors]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=8.5)
