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
from liverspleen.organs import APART_MM, Structure

_SWAPPED = 0.5  # the liver is about five times as large as the spleen; equal sizes need massive splenomegaly
_LUNG_FRACTION = 0.03  # of the trunk in a third of the slices; gas in bowel fills at most 0.012 in the same scans
_LUNG_RATIO = 3.0
_SPINE_MM = 40.0  # half the width of the strip around the midline in which bone is mostly spine
_BEFORE_MM = 20.0
_BONE_SAMPLES = 50

_HINT = "correct the header, unless it is situs inversus"


def side_issues(organs: Mapping[Structure, Organ], *, column_mm: float, scan: ScanSummary | None) -> Iterator[Issue]:
    """Yield LS-LAB-018 or 019 if liver and spleen are exchanged, or an organ is on the wrong side of the midline.

    Liver and spleen are compared with each other if both are labelled; other organs with a side are compared with the
    midline. `column_mm` is the distance of columns; `scan` is None if the CT could not be read.
    """
    unpaired = dict(organs)
    if Structure.LIVER in organs and Structure.SPLEEN in organs:
        yield from _pair_issues(unpaired.pop(Structure.LIVER), unpaired.pop(Structure.SPLEEN), column_mm)
    for organ in unpaired.values():
        facts, name = organ.structure.facts, organ.structure.key
        if facts.side is None or scan is None:
            continue
        other = "left" if facts.side == "right" else "right"
        wrong_mm = _beyond_midline_mm(organ, other, column_mm, scan)
        if wrong_mm > facts.midline_mm:
            message = f"centre of the {name} is {wrong_mm:.0f} mm on the patient's {other} side of the midline"
            yield finding("warning", "LS-LAB-018", message, _HINT)


def _pair_issues(liver: Organ, spleen: Organ, column_mm: float) -> Iterator[Issue]:
    to_left = (spleen.centre[2] - liver.centre[2]) * column_mm
    if to_left < -APART_MM and liver.volume_cm3 < _SWAPPED * spleen.volume_cm3:
        message = (
            f"liver ({liver.volume_cm3:.0f} cm3) is smaller than the spleen ({spleen.volume_cm3:.0f} cm3) and on its "
            "left: the labels are exchanged"
        )
        yield finding("error", "LS-LAB-019", message, "exchange the two label values")
    elif to_left < -APART_MM:
        message = f"centre of the spleen is {-to_left:.0f} mm to the patient's right of that of the liver"
        yield finding("warning", "LS-LAB-018", message, _HINT)


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


def _beyond_midline_mm(organ: Organ, side: str, column_mm: float, scan: ScanSummary) -> float:
    """Return how far the centre of an organ is on a side of the midline of the body, in the slices of the organ."""
    columns = body(scan.coarse[organ.box[0]]).sum(axis=(0, 1))
    if not columns.any():
        return 0.0
    middle_mm = float(np.average(np.arange(columns.size), weights=columns)) * scan.coarse_mm[1]
    to_left_mm = organ.centre[2] * column_mm - middle_mm
    return to_left_mm if side == "left" else -to_left_mm


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
