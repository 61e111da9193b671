"""The finding that a CT shows a part of the body without liver and spleen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from liverspleen.cohort.findings.areas import BodyAreas, lung_fraction
from liverspleen.cohort.findings.scan import ScanSummary, finding
from liverspleen.errors import Issue

_LUNG_BELOW = 0.25  # of the trunk in the lowest slices; abdominal scans end below the lungs
_NECK = 0.6  # of the largest area: the highest slice is above the shoulders, so the scan is not upside down
_NEARLY_ALL = 0.9
_HEAD_MM2 = 35_000.0  # heads of adults are about 22 000, trunks of adults 45 000 and more
_SKULL = 0.12  # of the area of a head; bone is at most 0.1 of the pelvis, and less of the rest of the trunk
_LIKE = 0.5  # the second leg has at least half the area of the first one; an arm has a fifth of that of the trunk
_LIMB_BONE = 0.02  # a couch has no bone
_LEAST_SLICES = 5


def coverage_issues(scan: ScanSummary) -> Iterator[Issue]:
    """Yield LS-SCN-030 if a CT ends within the lungs, or shows only the head or only the legs.

    A CT with a slice of the abdomen has no finding, and neither has one of the pelvis, which resembles the abdomen.
    """
    areas = [area for area in scan.areas if area.parts[0]]
    if len(areas) < _LEAST_SLICES:
        return
    sample_mm2 = scan.coarse_mm[0] * scan.coarse_mm[1]
    if _ends_in_lungs(areas):
        region = f"lung is {lung_fraction(areas[:2]):.0%} of the trunk in the lowest slices, so it ends above the liver"
    elif _fraction(areas, _is_pair) >= _NEARLY_ALL:
        region = "nearly all slices have two parts of similar size with bone, as legs have"
    elif (
        max(area.parts[0] for area in areas) * sample_mm2 < _HEAD_MM2
        and float(np.median([area.bones[0] / area.parts[0] for area in areas])) > _SKULL
        and not any(area.lung for area in areas)
    ):
        region = "all slices are small and have much bone, as a head or a limb has"
    else:
        return
    message = f"scan shows no liver and no spleen, or only parts of them: {region}"
    yield finding("warning", "LS-SCN-030", message, "check that it is a scan of the abdomen, or exclude the case")


def _ends_in_lungs(areas: Sequence[BodyAreas]) -> bool:
    """Whether the lowest slices have much lung; a scan with its head at the lower end has LS-GEO-017 instead."""
    lowest, largest = areas[:2], max(area.parts[0] for area in areas)
    upper = lung_fraction(areas[-max(1, len(areas) // 3) :])
    upright = upper > lung_fraction(lowest) / 3 or areas[-1].parts[0] < _NECK * largest
    return min(lung_fraction([area]) for area in lowest) > _LUNG_BELOW and upright


def _is_pair(area: BodyAreas) -> bool:
    bones = all(bone > _LIMB_BONE * part for bone, part in zip(area.bones, area.parts, strict=True))
    return bones and area.parts[1] > _LIKE * area.parts[0]


def _fraction(areas: Sequence[BodyAreas], holds: Callable[[BodyAreas], bool]) -> float:
    return sum(map(holds, areas)) / len(areas)
