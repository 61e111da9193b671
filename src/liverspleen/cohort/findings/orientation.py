"""Findings about orientation (left and right, front and back, head and feet) from the anatomy in image and labels.

A wrong orientation cannot be found in the header unpaired: a mirrored image with a consistent header is valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from liverspleen.cohort.findings.areas import BONE_HU, body, examined_slices, lung_fraction
from liverspleen.cohort.findings.organ import Organ
from liverspleen.cohort.findings.scan import ScanSummary, finding
from liverspleen.errors import Issue
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import APART_MM, Structure

_SWAPPED = 0.5  # the liver is about five times as large as the spleen; equal sizes need massive splenomegaly
_LUNG_FRACTION = 0.03  # of the trunk in a third of the slices; gas in bowel fills at most 0.012 in the same scans
_LUNG_RATIO = 3.0
_SPINE_MM = 40.0  # half the width of the strip around the midline in which bone is mostly spine
_BEFORE_MM = 20.0
_BONE_SAMPLES = 50
_SAMPLES = 64  # rows and columns in which exchanged labels are recognised
_TRUNK_MM = 250.0  # a narrower grid may be a part of a CT
_OFF_CENTRE_MM = 50.0  # of the body in the image; organs of mirrored scans are up to 115 mm on the wrong side

_HINT = "correct the header or the label values, unless it is situs inversus"


def side_issues(
    organs: Mapping[Structure, Organ], *, column_mm: float, scan: ScanSummary | None, width_mm: float | None = None
) -> Iterator[Issue]:
    """Yield LS-LAB-018, 019 or 055 if liver and spleen contradict each other, or an organ is on the wrong side.

    Liver and spleen are compared with each other; then each organ with a side is compared with the midline of the body,
    or, if `scan` is None, with the middle of the grid, whose width is `width_mm` (None: it is not that of a CT).
    `column_mm` is the distance of columns.
    """
    if Structure.LIVER in organs and Structure.SPLEEN in organs:
        compared = [*_pair_issues(organs[Structure.LIVER], organs[Structure.SPLEEN], column_mm)]
        yield from compared
        if compared:
            return
    for organ in organs.values():
        yield from _midline_issues(organ, column_mm, scan, width_mm)


def _midline_issues(
    organ: Organ, column_mm: float, scan: ScanSummary | None, width_mm: float | None
) -> Iterator[Issue]:
    facts, name = organ.structure.facts, organ.structure.key
    if scan is None and (width_mm is None or width_mm < _TRUNK_MM):
        return
    middle_mm = _middle_mm(organ, scan) if scan is not None else (width_mm or 0.0) / 2
    if facts.side is None or middle_mm is None:
        return
    other = "left" if facts.side == "right" else "right"
    to_left_mm = organ.centre[2] * column_mm - middle_mm
    wrong_mm = to_left_mm if other == "left" else -to_left_mm
    if wrong_mm > facts.midline_mm + (0.0 if scan is not None else _OFF_CENTRE_MM):
        of = "midline" if scan is not None else "middle of the image"
        message = f"centre of the {name} is {wrong_mm:.0f} mm on the patient's {other} side of the {of}"
        yield finding("warning", "LS-LAB-018", message, _HINT)


def exchanged_issue(label_map: LabelMap) -> Issue | None:
    """Return LS-LAB-019 if liver and spleen are exchanged; a sample of rows and columns is read, so it costs little."""
    _, *matrix = label_map.labels.shape
    step = max(1, min(matrix) // _SAMPLES)
    sampled = label_map.labels[:, ::step, ::step]
    spacing = label_map.geometry.spacing_mm[2] * step
    liver, spleen = ((sampled == organ).sum(axis=(0, 1)) for organ in (Structure.LIVER, Structure.SPLEEN))
    if not (liver.any() and spleen.any()):
        return None
    place = np.arange(liver.size) * spacing
    to_left = float(np.average(place, weights=spleen) - np.average(place, weights=liver))
    sample_cm3 = label_map.geometry.voxel_volume_mm3 * step**2 / 1000
    return _exchanged(to_left, int(liver.sum()) * sample_cm3, int(spleen.sum()) * sample_cm3)


def _exchanged(to_left: float, liver_cm3: float, spleen_cm3: float) -> Issue | None:
    if not (to_left < -APART_MM and liver_cm3 < _SWAPPED * spleen_cm3):
        return None
    message = f"{_smaller(liver_cm3, spleen_cm3)} and on its left: the labels are exchanged"
    return finding("error", "LS-LAB-019", message, "exchange the two label values")


def _smaller(liver_cm3: float, spleen_cm3: float) -> str:
    return f"liver ({liver_cm3:.0f} cm3) is smaller than the spleen ({spleen_cm3:.0f} cm3)"


def _pair_issues(liver: Organ, spleen: Organ, column_mm: float) -> Iterator[Issue]:
    to_left = (spleen.centre[2] - liver.centre[2]) * column_mm
    if exchanged := _exchanged(to_left, liver.volume_cm3, spleen.volume_cm3):
        yield exchanged
    elif to_left < -APART_MM or (to_left < APART_MM and _is_plausible(liver) and _is_plausible(spleen)):
        side = "right" if to_left < 0 else "left"
        message = (
            f"centre of the spleen is {abs(to_left):.0f} mm to the patient's {side} of that of the liver, "
            f"expected at least {APART_MM:g} mm to the left"
        )
        yield finding("warning", "LS-LAB-018", message, _HINT)
    elif liver.volume_cm3 < spleen.volume_cm3 and not liver.faces:
        hint = "check the two label values; no action is needed if the spleen is very large"
        yield finding("warning", "LS-LAB-055", _smaller(liver.volume_cm3, spleen.volume_cm3), hint)


def _is_plausible(organ: Organ) -> bool:
    smallest, largest = organ.structure.facts.plausible_cm3
    return smallest <= organ.volume_cm3 <= largest


def direction_issues(scan: ScanSummary) -> Iterator[Issue]:
    """Yield LS-GEO-017 if the lungs are below the abdomen, and LS-GEO-018 if the spine is in front."""
    lower, upper = lung_fractions(scan)
    if lower > _LUNG_FRACTION and lower > _LUNG_RATIO * upper:
        message = (
            f"lung is {lower:.0%} of the trunk in the lowest third of the slices, {upper:.0%} in the highest third"
        )
        hint = "check whether head and feet are swapped in the image or its header"
        yield finding("warning", "LS-GEO-017", message, hint)
    before_mm = _spine_before_mm(scan)
    if before_mm > _BEFORE_MM:
        message = f"bone near the midline is {before_mm:.0f} mm in front of the middle of the body"
        hint = "check whether front and back are swapped in the image or its header"
        yield finding("warning", "LS-GEO-018", message, hint)


def _middle_mm(organ: Organ, scan: ScanSummary) -> float | None:
    """Return the position of the midline of the body in the slices of an organ, from the right; None without a body."""
    columns = body(scan.coarse[organ.box[0]]).sum(axis=(0, 1))
    if not columns.any():
        return None
    return float(np.average(np.arange(columns.size), weights=columns)) * scan.coarse_mm[1]


def lung_fractions(scan: ScanSummary) -> tuple[float, float]:
    """Return lung as a fraction of the trunk in the lowest and in the highest third of the slices."""
    third = max(1, scan.coarse.shape[0] // 3)
    lower, upper = (
        [area for area in scan.areas if low <= area.index < high]
        for low, high in ((0, third), (scan.coarse.shape[0] - third, scan.coarse.shape[0]))
    )
    return lung_fraction(lower), lung_fraction(upper)


def _spine_before_mm(scan: ScanSummary) -> float:
    samples = scan.coarse[examined_slices(len(scan.coarse))]
    inside = body(samples)
    rows_of_body, columns_of_body = inside.sum(axis=(0, 2)), inside.sum(axis=(0, 1))
    if not rows_of_body.any():
        return 0.0
    row_mm, column_mm = scan.coarse_mm
    middle = float(np.average(np.arange(columns_of_body.size), weights=columns_of_body))
    reach = _SPINE_MM / column_mm
    strip = samples[:, :, max(0, round(middle - reach)) : round(middle + reach) + 1]
    rows = np.nonzero(strip > BONE_HU)[1]
    if rows.size < _BONE_SAMPLES:
        return 0.0
    return (float(np.average(np.arange(rows_of_body.size), weights=rows_of_body)) - float(np.median(rows))) * row_mm
