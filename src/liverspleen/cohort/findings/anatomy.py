"""Findings about organs with respect to each other, and all findings of a label map that need no CT."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Final

import numpy as np
from scipy import ndimage

from liverspleen.cohort.findings.labels import volume_issues
from liverspleen.cohort.findings.organ import Organ, find_organ
from liverspleen.cohort.findings.orientation import side_issues
from liverspleen.cohort.findings.scan import ScanSummary, finding
from liverspleen.errors import Issue
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure

EXCHANGED: Final = "LS-LAB-019"
"""Code of the finding that liver and spleen are exchanged, which is an error."""

_INSIDE = 0.5  # of the border; a long left lobe that reaches around the spleen covers less than half of it
_CROP_FACES = 5  # of the six faces of the grid: no organ of a CT touches its left and right, front and back


def find_organs(label_map: LabelMap, structures: Collection[Structure]) -> dict[Structure, Organ]:
    """Return those of the structures that have a voxel."""
    found = {structure: find_organ(label_map, structure) for structure in structures}
    return {structure: organ for structure, organ in found.items() if organ is not None}


def is_cropped(organs: Mapping[Structure, Organ]) -> bool:
    """Return whether the grid is a box around the organs rather than that of a CT: they touch five of its six faces."""
    return len({face for organ in organs.values() for face in organ.faces}) >= _CROP_FACES


def label_map_issues(label_map: LabelMap, organs: Mapping[Structure, Organ], *, age: float | None) -> Iterator[Issue]:
    """Yield the findings about volumes and positions of the organs of a label map whose CT is not read."""
    for organ in organs.values():
        yield from volume_issues(organ, age=age)
    yield from position_issues(label_map, organs, scan=None)


def position_issues(
    label_map: LabelMap, organs: Mapping[Structure, Organ], *, scan: ScanSummary | None
) -> Iterator[Issue]:
    """Yield LS-LAB-054 about an organ inside another one; without that the findings of `side_issues`."""
    inside = [*_inside_issues(label_map, organs)]
    yield from inside
    if not inside:
        grid, cropped = label_map.geometry, is_cropped(organs)
        width_mm = None if cropped else grid.canonical_shape[2] * grid.spacing_mm[2]
        yield from side_issues(organs, column_mm=grid.spacing_mm[2], scan=scan, width_mm=width_mm)


def _inside_issues(label_map: LabelMap, organs: Mapping[Structure, Organ]) -> Iterator[Issue]:
    by_size = sorted(organs.values(), key=lambda organ: organ.volume_cm3)
    for inner, outer in combinations(by_size, 2):
        fraction = _border_fraction(label_map, inner, outer.structure)
        if fraction > _INSIDE:
            name, other = inner.structure.key, outer.structure.key
            message = f"{fraction:.0%} of the border of the {name} is {other}: the {name} is inside it"
            hint = f"check the label values, and correct the {name} in the label map"
            yield finding("warning", "LS-LAB-054", message, hint)


def _border_fraction(label_map: LabelMap, organ: Organ, other: Structure) -> float:
    """Return the fraction of the voxels around an organ (6 neighbours) that belong to another one."""
    wider = tuple(
        slice(max(0, extent.start - 1), min(size, extent.stop + 1))
        for extent, size in zip(organ.box, label_map.labels.shape, strict=True)
    )
    labels = label_map.labels[wider]
    mask = labels == organ.structure
    around = labels[ndimage.binary_dilation(mask) & ~mask]
    return float(np.count_nonzero(around == other) / max(1, around.size))
