"""Preview image of a case: slices of the CT in three directions with the contours of the organs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.png import TextLine, resized, write_picture
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import ORGANS, Structure

_PIXEL_MM: Final = 0.8  # in every direction; most CT scans of the trunk have 0.7 to 0.9
_LARGEST: Final = 2560  # pixels per side, about two metres; a header may state kilometres
_WINDOW_HU: Final = (-110, 190)  # soft tissue: centre 40, width 300, as in the report's Figure 3
_BODY_HU: Final = -400  # below it is air around the patient
_MARGIN_MM: Final = 40.0  # above and below the organs
_BAR_MM: Final = 50
_LINE: Final = 18  # height of a line of text in pixels
_GAP: Final = 6
_NAME: Final = 60  # width of the name of an organ in the legend in pixels
_SOFT, _WARNING = "#B0B0B0", "#FFD000"


@dataclass(frozen=True)
class _View:
    """A plane through the CT: gray values and labels, (row, column), and the size of a pixel."""

    gray: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float]
    caption: str
    sides: str  # letters at the left and right edge


def write_case_picture(path: Path, ct: CTVolume, label_map: LabelMap, title: str, notes: Sequence[str] = ()) -> None:
    """Write one PNG: axial slices through the largest area of each organ, a coronal and a sagittal plane.

    A pixel is 0.8 mm in every direction, or larger if a side would exceed 2560 pixels. The patient's right is at the
    left; the sagittal plane is seen from the patient's right, with anterior at the left. The coronal plane is the one
    with the largest sum of the fractions of all organs, the sagittal plane the one with the largest area of the first
    organ that is present. Without any organ the planes are the middle ones. Slices are counted from 1, the most
    inferior. `notes` are printed in a warning colour below the title. The same input gives the same bytes with the
    same version of pillow.

    Raises:
        ValueError: CT and label map differ in shape.
    """
    if ct.hu.shape != label_map.labels.shape:
        raise ValueError(f"CT has shape {ct.hu.shape}, its label map {label_map.labels.shape}")
    views = _views(ct, label_map)
    longest_mm = max(size * edge for view in views for size, edge in zip(view.gray.shape, view.spacing_mm, strict=True))
    pixel_mm = max(_PIXEL_MM, longest_mm / _LARGEST)
    pictures = [_picture(view, pixel_mm) for view in views]
    header = _LINE * (2 + len(notes)) + _GAP
    corners, (height, width) = _arranged([picture.shape[:2] for picture in pictures], header)
    page = np.zeros((height, width, 3), np.uint8)
    text_lines = [TextLine((_GAP, _GAP), title, width - 2 * _GAP, size=15)]
    text_lines += [
        TextLine((_GAP, _GAP + _LINE * (1 + index)), note, width - 2 * _GAP, _WARNING)
        for index, note in enumerate(notes)
    ]
    legend = _GAP + _LINE * (1 + len(notes))
    text_lines += [
        TextLine((_GAP + _NAME * index, legend), organ.key, _NAME, organ.facts.colour)
        for index, organ in enumerate(ORGANS)
    ]
    window = f"window {_WINDOW_HU[0]} to {_WINDOW_HU[1]} HU, bar {_BAR_MM} mm"
    named = _NAME * len(ORGANS) + 10
    text_lines.append(TextLine((_GAP + named, legend), window, width - named - 10, _SOFT))
    for view, picture, (top, left) in zip(views, pictures, corners, strict=True):
        rows, columns = picture.shape[:2]
        page[top : top + rows, left : left + columns] = picture
        text_lines.append(TextLine((left, top - _LINE), view.sides[0], 20))
        text_lines.append(TextLine((left + 20, top - _LINE), view.caption, columns - 40, _SOFT))
        text_lines.append(TextLine((left + columns, top - _LINE), view.sides[1], 20, anchor="ra"))
        bar = min(round(_BAR_MM / pixel_mm), columns - 8)
        page[top + rows - 8 : top + rows - 5, left + 4 : left + 4 + bar] = 255
    write_picture(path, page, text_lines)


def _views(ct: CTVolume, label_map: LabelMap) -> list[_View]:
    labels, (slice_mm, row_mm, column_mm) = label_map.labels, ct.geometry.spacing_mm
    areas = {organ: _voxels_along(label_map, organ) for organ in ORGANS}
    present = [organ for organ in ORGANS if areas[organ][0].any()]
    middle = [size // 2 for size in labels.shape]
    slices: dict[int, list[str]] = {}
    for organ in present:
        slices.setdefault(int(areas[organ][0].argmax()), []).append(organ.key)
    fractions = sum((areas[organ][1] / areas[organ][1].sum() for organ in present), np.zeros(labels.shape[1]))
    row = int(fractions.argmax()) if present else middle[1]
    column = int(areas[present[0]][2].argmax()) if present else middle[2]
    axial = slices or {middle[0]: []}
    rows, columns = _body(ct.hu[list(axial)])
    up = _slices_shown(label_map, slice_mm)
    views = [
        _view(
            ct.hu[slice_index, rows, columns],
            labels[slice_index, rows, columns],
            (row_mm, column_mm),
            f"axial, slice {slice_index + 1} of {labels.shape[0]}" + (f" (most {' and '.join(keys)})" if keys else ""),
            "RL",
        )
        for slice_index, keys in axial.items()
    ]
    coronal, sagittal = np.s_[up, row, columns], np.s_[up, rows, column]
    views.append(_view(ct.hu[coronal], labels[coronal], (slice_mm, column_mm), "coronal", "RL"))
    views.append(_view(ct.hu[sagittal], labels[sagittal], (slice_mm, row_mm), "sagittal", "AP"))
    return views


def _view(
    hu: NDArray[np.int16], labels: NDArray[np.uint8], spacing_mm: tuple[float, float], caption: str, sides: str
) -> _View:
    low, high = _WINDOW_HU
    # int32: a windowed int16 times 255 does not fit
    gray = (np.clip(hu, low, high).astype(np.int32) - low) * 255 // (high - low)
    return _View(gray.astype(np.uint8), labels, spacing_mm, caption, sides)


def _voxels_along(label_map: LabelMap, organ: Structure) -> list[NDArray[np.intp]]:
    """Return the numbers of the organ's voxels by slice, by row and by column."""
    counts = [np.zeros(size, np.intp) for size in label_map.labels.shape]
    box = label_map.box(organ)
    if box is not None:
        mask = label_map.labels[box] == int(organ)
        for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
            counts[axis][box[axis]] = np.add.reduce(mask, axis=others, dtype=np.intp)
    return counts


def _body(slices: NDArray[np.int16]) -> tuple[slice, slice]:
    """Return the range of rows and of columns with anything but air in these slices; all of them if there is none."""
    inside = (slices > _BODY_HU).any(axis=0)
    extents = []
    for axis in (1, 0):
        found = np.flatnonzero(np.logical_or.reduce(inside, axis=axis))
        extents.append(slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(None))
    return extents[0], extents[1]


def _slices_shown(label_map: LabelMap, slice_mm: float) -> slice:
    """Return the slices of the organs with a margin, the most superior first; all slices if there is no organ."""
    boxes = [box for organ in ORGANS if (box := label_map.box(organ)) is not None]
    count, margin = label_map.labels.shape[0], round(_MARGIN_MM / slice_mm)
    first = max(min(box[0].start for box in boxes) - margin, 0) if boxes else 0
    last = min(max(box[0].stop for box in boxes) + margin, count) - 1 if boxes else count - 1
    return slice(last, first - 1 if first else None, -1)


def _picture(view: _View, pixel_mm: float) -> NDArray[np.uint8]:
    """Return the view in RGB at that pixel size, with a contour of two pixels inside the border of each organ."""
    shape = [max(round(size * edge / pixel_mm), 1) for size, edge in zip(view.gray.shape, view.spacing_mm, strict=True)]
    picture = np.repeat(resized(view.gray, (shape[0], shape[1]))[:, :, None], 3, axis=2)
    nearest = [(np.arange(new) * old) // new for new, old in zip(shape, view.labels.shape, strict=True)]
    labels = view.labels[np.ix_(*nearest)]
    for organ in ORGANS:
        mask = labels == int(organ)
        inner = _eroded(_eroded(mask))
        picture[mask & ~inner] = [*bytes.fromhex(organ.facts.colour.removeprefix("#"))]
    return picture


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels whose four neighbours are in the mask; pixels beyond the border of the image are not."""
    wide = np.pad(mask, 1)
    return wide[1:-1, 1:-1] & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]


def _arranged(shapes: Sequence[tuple[int, ...]], header: int) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return the top left corners of panels in rows of two below the header, and height and width of the page."""
    half = max(columns for _, columns in shapes) + _GAP
    corners, top = [], header
    for first in range(0, len(shapes), 2):
        pair = shapes[first : first + 2]
        top += _LINE  # captions
        corners += [(top, _GAP + half * column) for column in range(len(pair))]
        top += max(rows for rows, _ in pair) + _GAP
    return corners, (top, _GAP + 2 * half)
