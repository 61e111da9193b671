"""Label maps that can be read but are doubtful: sizes, parts, holes, gaps, borders, and tissue that is no organ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.findings.organ import Organ
from liverspleen.cohort.findings.scan import finding
from liverspleen.errors import Issue
from liverspleen.organs import ADULT_YEARS

_CRUMB_CM3 = 0.5  # an accessory spleen of 1 cm across has this volume
_MANY = 10  # accessory spleens are up to five; splenosis more, but larger
_PART_FRACTION = 0.02
_HOLE_FRACTION = 0.02
_GAP_FRACTION = 0.25  # of the largest slice: both sides of a gap between two parts taper, a skipped slice's do not
_LIVING_HU = (-50.0, 250.0)  # steatosis goes down to about -20, the arterial spleen up to 250
_GAS_HU = -300
_GAS_FRACTION = 0.03  # partial volume with lung is at most 0.2 % on real CT and phantoms
_FOREIGN_HU = (-70, 350)  # fat and lung, bone and metal
_FOREIGN_FRACTION = 0.10  # at most 2 % on real CT and phantoms; noise of a fatty liver may reach 7 %


def shape_issues(organ: Organ, *, age: float | None = None) -> Iterator[Issue]:
    """LS-LAB-011 to 014, 020 and 021 of one organ's mask alone."""
    name, volume = organ.structure.key, organ.volume_cm3
    smallest, largest = organ.structure.facts.plausible_cm3
    if volume < smallest and not organ.faces and (age is None or age >= ADULT_YEARS):
        message = f"{name} has {volume:.3g} cm3 though it lies wholly in the scan, expected {smallest:g} or more"
        yield finding("warning", "LS-LAB-011", message, "look whether the label map is complete, and its spacing right")
    if volume > largest:
        message = f"{name} has {volume:.0f} cm3, expected {largest:g} at most"
        yield finding("warning", "LS-LAB-012", message, "look at the label map and the spacing")
    yield from _part_issues(organ)
    if organ.faces:
        message = f"{name} reaches the {', '.join(organ.faces)} border of the scan: its volume is that of a part"
        yield finding("note", "LS-LAB-020", message, "take its volume as truncated")
    if (gaps := _gaps(organ.by_slice)).size:
        slices = ", ".join(str(organ.box[0].start + gap) for gap in gaps[:5])
        message = f"{name} is missing from {gaps.size} slices within it: {slices}"
        yield finding("warning", "LS-LAB-021", message, "draw it in these slices too")


def density_issues(organ: Organ, hu: NDArray[np.int16]) -> Iterator[Issue]:
    """LS-LAB-015 to 017 of an organ and the CT it is drawn on: what the label covers is not that organ.

    One finding at most, the gravest.
    """
    values = hu[organ.box][organ.mask]
    name, median = organ.structure.key, float(np.median(values))
    gas = np.count_nonzero(values < _GAS_HU) / values.size
    foreign = np.count_nonzero((values < _FOREIGN_HU[0]) | (values > _FOREIGN_HU[1])) / values.size
    low, high = _LIVING_HU
    hint = "look whether label map and CT belong together and are not flipped against each other"
    if median < _GAS_HU:
        message = f"{name} lies in air or lung: the median within it is {median:.0f} HU"
        yield finding("error", "LS-LAB-016", message, hint)
    elif gas > _GAS_FRACTION:
        message = f"{gas:.0%} of the {name} lie in air or lung"
        yield finding("warning", "LS-LAB-016", message, hint)
    elif not low <= median <= high:
        message = f"the median within the {name} is {median:.0f} HU, expected {low:g} to {high:g}"
        yield finding("warning", "LS-LAB-015", message, "look at the label map and the scale of the image")
    elif foreign > _FOREIGN_FRACTION and median > 0:
        message = f"{foreign:.0%} of the {name} have the density of fat or bone"
        yield finding("warning", "LS-LAB-017", message, hint)


def _part_issues(organ: Organ) -> Iterator[Issue]:
    name, volume = organ.structure.key, organ.volume_cm3
    parts, holes = organ.parts_cm3, organ.holes_cm3
    crumbs = int(np.count_nonzero(parts[1:] < _CRUMB_CM3))
    if crumbs > _MANY:
        message = f"{name} has {crumbs} islands smaller than {_CRUMB_CM3:g} cm3 beside its main part"
        yield finding("warning", "LS-LAB-013", message, "clear the islands from the label map")
    elif parts.size > 1 and parts[1] > _PART_FRACTION * volume:
        message = f"{name} is in parts of {parts[0]:.3g} and {parts[1]:.3g} cm3" + (
            " and less" if parts.size > 2 else ""
        )
        yield finding("note", "LS-LAB-013", message, "nothing to do after resection or with accessory spleens")
    speckles = int(np.count_nonzero(holes < _CRUMB_CM3))
    if speckles > 10 * _MANY:
        message = f"{name} has {speckles} holes smaller than {_CRUMB_CM3:g} cm3"
        yield finding("warning", "LS-LAB-014", message, "fill them, unless each is a vessel or lesion")
    elif holes.sum() > _HOLE_FRACTION * volume:
        message = f"{name} has holes of {holes.sum():.3g} cm3 in all"
        yield finding("note", "LS-LAB-014", message, "nothing to do if lesions or vessels are left out on purpose")


def _gaps(by_slice: NDArray[np.intp]) -> NDArray[np.intp]:
    """Empty slices between two that are both well filled."""
    filled = np.flatnonzero(by_slice)
    wide = by_slice > _GAP_FRACTION * by_slice.max()
    found: list[int] = []
    for below, above in pairwise(filled):
        if above - below > 1 and wide[below] and wide[above]:
            found.extend(range(below + 1, above))
    return np.array(found, np.intp)
