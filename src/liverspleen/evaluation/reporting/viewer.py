"""Cases of the slice viewer of a page: CT, reference and prediction around the organs, reduced for display."""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.manifest import Cohort
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.notes import Note
from liverspleen.evaluation.measurements.readings import Examination, Readings
from liverspleen.evaluation.reporting.case_table import lowest_dss
from liverspleen.evaluation.reporting.figures.overlay import WINDOW_HU
from liverspleen.evaluation.reporting.overlay import CaseMaps, largest_slice
from liverspleen.organs import Structure

MARGIN_MM: Final = 20.0
"""Distance of the shown box from the organs of both maps."""

MOST_PIXELS: Final = 256
"""Rows and columns of a slice at most; every second, third, ... pixel of a larger slice is shown."""

MOST_SLICES: Final = 192
"""Slices at most; every second, third, ... slice of a longer box is shown."""


@dataclass(frozen=True)
class ViewerCase:
    """One case of the viewer; arrays have the shape (slice, row, column), slices to superior.

    `data` is the CT and the maps, one byte per voxel each, gzip, base64. The CT is 0 to 255 in the window of Figure 3;
    a byte of the maps is the reference plus 16 times the prediction. `first` is the number of the first slice in the
    file (from 1), `step` the distance of the shown slices, `slices` their number in the file, `start` the voxel that is
    shown first, and `lowest_dss` the lowest DSS of an organ.
    """

    case_id: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    first: int
    step: int
    slices: int
    start: tuple[int, ...]
    lowest_dss: float
    data: str = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the description of the case for the script of the page, without its data."""
        return {
            "name": self.case_id,
            "shape": self.shape,
            "spacing_mm": self.spacing_mm,
            "first": self.first,
            "step": self.step,
            "slices": self.slices,
            "start": self.start,
        }


@dataclass(frozen=True)
class ViewerCases:
    """The cases of the viewer, and notes on those that it does not show."""

    shown: tuple[ViewerCase, ...] = ()
    notes: tuple[Note, ...] = ()


def worst_cases(
    readings: Readings, examinations: Sequence[Examination], reader: str, reference: str, number: int
) -> dict[str, float]:
    """Return the `number` cases with the lowest DSS of an organ, and this DSS; cases without a DSS are skipped."""
    scored = [(lowest_dss(readings, e.case_id, [reader], reference), e.case_id) for e in examinations]
    return {case_id: dss for dss, case_id in sorted(scored)[:number] if dss < math.inf}


def viewer_cases(
    cohort: Cohort,
    labels: Path,
    cases: Mapping[str, float],
    *,
    values: Mapping[int, Structure] | None = None,
    most_bytes: int,
) -> ViewerCases:
    """Return the data of `cases`; a note lists those whose files cannot be used, and those beyond `most_bytes`.

    `cases` are the cases with the lowest DSS of an organ. `labels` and `values` are as in `overlays`.
    """
    by_id = {case.case_id: case for case in cohort.cases}
    shown: list[ViewerCase] = []
    not_read: dict[Issue, list[str]] = {}
    too_many: list[str] = []
    for case_id, dss in cases.items():
        if too_many:
            too_many.append(case_id)
            continue
        try:
            if case_id not in by_id:
                raise InputError(Issue("LS-REP-070", "case is not in the cohort", "give the cohort that was measured"))
            maps = CaseMaps.read(by_id[case_id], labels, values=values, case_ids=by_id)
        except InputError as rejected:
            for issue in rejected.issues:
                not_read.setdefault(Issue(issue.code, issue.message, issue.hint), []).append(case_id)
            continue
        made = viewer_case(case_id, maps, lowest_dss=dss)
        if sum(len(case.data) for case in (*shown, made)) > most_bytes:
            too_many.append(case_id)
        else:
            shown.append(made)
    notes = [
        Note(
            "LS-REP-070",
            f"the viewer does not show {counted(len(found), 'CT scan')}: {issue.message}",
            issue.hint,
            (*found,),
        )
        for issue, found in not_read.items()
    ]
    if too_many:
        message = f"the viewer does not show {counted(len(too_many), 'CT scan')}, because the page would be too large"
        hint = "open these cases in another viewer, or set viewer_cases= to a smaller number"
        notes.append(Note("LS-REP-070", message, hint, tuple(too_many)))
    return ViewerCases(tuple(shown), tuple(notes))


def viewer_case(case_id: str, maps: CaseMaps, *, lowest_dss: float = math.nan) -> ViewerCase:
    """Return the box around the organs of both maps, or the whole CT if both are empty."""
    spacing = maps.ct.geometry.spacing_mm
    organs = (maps.reference > 0) | (maps.prediction > 0)
    box = tuple(
        _span(np.asarray(organs.any(axis=tuple({0, 1, 2} - {axis}))), math.ceil(MARGIN_MM / spacing[axis]), most)
        for axis, most in enumerate((MOST_SLICES, MOST_PIXELS, MOST_PIXELS))
    )
    low, high = WINDOW_HU
    ct = np.clip((maps.ct.hu[box].astype(np.float32) - low) * (255 / (high - low)), 0, 255).round().astype(np.uint8)
    reference, prediction = maps.reference[box], maps.prediction[box]
    packed = reference | prediction << 4
    shown = reference if reference.any() else prediction
    place = largest_slice(shown)
    row, column = _middle(shown[place])
    content = gzip.compress(ct.tobytes() + packed.tobytes(), mtime=0)
    return ViewerCase(
        case_id=case_id,
        shape=ct.shape,
        spacing_mm=tuple(round(one * part.step, 6) for one, part in zip(spacing, box, strict=True)),
        first=box[0].start + 1,
        step=box[0].step,
        slices=len(maps.reference),
        start=(place, row, column),
        lowest_dss=lowest_dss,
        data=base64.b64encode(content).decode(),
    )


def _span(inside: NDArray[np.bool_], margin: int, most: int) -> slice:
    """Return the part with a margin; its step is the smallest with which the part has at most `most` places."""
    places = np.flatnonzero(inside)
    start, stop = (0, inside.size)
    if places.size:
        start, stop = max(int(places[0]) - margin, 0), min(int(places[-1]) + margin + 1, inside.size)
    return slice(start, stop, math.ceil((stop - start) / most))


def _middle(labels: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the row and column of the mean place of the labels, or the middle of the slice without labels."""
    places = np.argwhere(labels)
    row, column = places.mean(axis=0) if places.size else np.array(labels.shape) / 2
    return int(row), int(column)
