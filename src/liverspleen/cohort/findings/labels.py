"""Findings about label maps: volumes, parts, holes, gaps, borders, and densities that are not those of an organ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from liverspleen.cohort.findings.organ import Organ
from liverspleen.cohort.findings.scan import finding
from liverspleen.errors import Issue
from liverspleen.organs import ADULT_YEARS

_ISLAND_CM3 = 0.5  # volume of an accessory spleen with a diameter of 1 cm
_MANY = 10  # accessory spleens are up to five; splenosis more, but larger
_PART_FRACTION = 0.02
_HOLE_FRACTION = 0.02
_GAP_FRACTION = 0.25  # of the largest slice: areas decrease towards a gap between two parts, not to a skipped slice
_ORGAN_HU = (-50.0, 250.0)  # steatosis goes down to about -20, the arterial spleen up to 250
_GAS_HU = -300
_GAS_FRACTION = 0.03  # partial volume with lung is at most 0.2 % on real CT and phantoms
_FOREIGN_HU = (-70, 350)  # fat and lung, bone and metal
_FOREIGN_FRACTION = 0.10  # at most 2 % on real CT and phantoms; noise of a fatty liver may reach 7 %


def shape_issues(organ: Organ, *, age: float | None = None) -> Iterator[Issue]:
    """Yield LS-LAB-011 to 014, 020 and 021 about the mask of an organ."""
    name = organ.structure.key
    yield from volume_issues(organ, age=age)
    yield from _part_issues(organ)
    if organ.faces:
        message = f"{name} reaches the {', '.join(organ.faces)} border of the scan, so a part may be missing"
        yield finding("note", "LS-LAB-020", message, "treat its volume as truncated")
    if (gaps := _gaps(organ.by_slice)).size:
        slices = ", ".join(str(organ.box[0].start + gap) for gap in gaps[:5])
        message = f"number of slices without {name} between slices with it is {gaps.size} ({slices})"
        yield finding("warning", "LS-LAB-021", message, "annotate the organ in these slices too")


def volume_issues(organ: Organ, *, age: float | None = None) -> Iterator[Issue]:
    """Yield LS-LAB-011 or 012 if the volume of an organ is not possible; a cut organ is never too small."""
    name, volume = organ.structure.key, organ.volume_cm3
    smallest, largest = organ.structure.facts.plausible_cm3
    if volume < smallest and not organ.faces and (age is None or age >= ADULT_YEARS):
        message = f"volume of the {name} is {volume:.3g} cm3, expected at least {smallest:g} cm3 for a complete organ"
        yield finding("warning", "LS-LAB-011", message, "check that the label map is complete and the spacing is right")
    if volume > largest:
        message = f"volume of the {name} is {volume:.0f} cm3, expected at most {largest:g} cm3"
        yield finding("warning", "LS-LAB-012", message, "check the label map and the spacing")


def density_issues(organ: Organ, hu: NDArray[np.int16]) -> Iterator[Issue]:
    """Yield LS-LAB-015 to 017 if the voxels of an organ do not have its density; only the most severe finding."""
    values = hu[organ.box][organ.mask]
    name, median = organ.structure.key, float(np.median(values))
    gas = np.count_nonzero(values < _GAS_HU) / values.size
    foreign = np.count_nonzero((values < _FOREIGN_HU[0]) | (values > _FOREIGN_HU[1])) / values.size
    low, high = _ORGAN_HU
    hint = "check that label map and CT belong together, and that neither is flipped"
    if median < _GAS_HU:
        message = f"median within the {name} is {median:.0f} HU, the density of air or lung"
        yield finding("error", "LS-LAB-016", message, hint)
    elif gas > _GAS_FRACTION:
        message = f"{gas:.0%} of the {name} has the density of air or lung"
        yield finding("warning", "LS-LAB-016", message, hint)
    elif not low <= median <= high:
        message = f"median within the {name} is {median:.0f} HU, expected {low:g} to {high:g} HU"
        yield finding("warning", "LS-LAB-015", message, "check the label map and the scale of the image")
    elif foreign > _FOREIGN_FRACTION and median > 0:
        message = f"{foreign:.0%} of the {name} has the density of fat or bone"
        yield finding("warning", "LS-LAB-017", message, hint)


def _part_issues(organ: Organ) -> Iterator[Issue]:
    name, volume = organ.structure.key, organ.volume_cm3
    parts, holes = organ.parts_cm3, organ.holes_cm3
    islands = int(np.count_nonzero(parts[1:] < _ISLAND_CM3))
    if islands > _MANY:
        message = f"{name} has {islands} islands smaller than {_ISLAND_CM3:g} cm3 in addition to its main part"
        yield finding("warning", "LS-LAB-013", message, "remove the islands from the label map")
    elif parts.size > 1 and parts[1] > _PART_FRACTION * volume:
        message = f"{name} has {parts.size} parts, the largest of {parts[0]:.3g} and {parts[1]:.3g} cm3"
        yield finding("note", "LS-LAB-013", message, "no action is needed after resection or with accessory spleens")
    small_holes = int(np.count_nonzero(holes < _ISLAND_CM3))
    if small_holes > 10 * _MANY:
        message = f"{name} has {small_holes} holes smaller than {_ISLAND_CM3:g} cm3"
        yield finding("warning", "LS-LAB-014", message, "fill the holes, unless they are vessels or lesions")
    elif holes.sum() > _HOLE_FRACTION * volume:
        message = f"{name} has holes of {holes.sum():.3g} cm3 in total"
        yield finding(
            "note", "LS-LAB-014", message, "no action is needed if lesions or vessels are not labelled on purpose"
        )


def _gaps(by_slice: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the empty slices between two slices in which the organ is large."""
    filled = np.flatnonzero(by_slice)
    wide = by_slice > _GAP_FRACTION * by_slice.max()
    found: list[int] = []
    for below, above in pairwise(filled):
        if above - below > 1 and wide[below] and wide[above]:
            found.extend(range(below + 1, above))
    return np.array(found, np.intp)
