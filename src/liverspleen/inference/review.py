"""Which cases somebody should look at first: one number from what can be seen without a reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from liverspleen.cohort.findings.labels import density_issues
from liverspleen.cohort.findings.organ import Organ, find_organ
from liverspleen.evaluation.metrics.connected_components import Components, components, enclosed_voxels
from liverspleen.evaluation.metrics.volume import ABSENT, IMPLAUSIBLE, MULTI_PART, TRUNCATED, statuses_of
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure

SIGNS: Final = ("flips", "steps", "jumps", "islands", "holes", "density", "status")
"""What is looked at in each organ; each gives a number from 0, nothing to see, to 1."""

_RAMPS: Final[Mapping[str, tuple[float, float]]] = {
    "flips": (0.10, 0.50),
    "steps": (0.03, 0.20),
    "jumps": (3.0, 8.0),
    "islands": (0.01, 0.05),
    "holes": (0.03, 0.10),
}
"""From where a sign counts, and where it is 1; linear between.

The lower ends lie at or above what true masks have: in 15 phantoms of 5 mm slices, thickened to 15 mm, cut and with
slices missing, and five label maps of real CT. The upper ends were set by looking at predictions on those phantoms.
"""
_OF_A_STATUS: Final[Mapping[str, float]] = {IMPLAUSIBLE: 1.0, MULTI_PART: 0.3, TRUNCATED: 0.2}
_OF_A_WARNING: Final = 0.5
_STEEPNESS: Final = 2.0  # changes no order; one sign in full is to stand out


@dataclass(frozen=True)
class Review:
    """How much a case asks to be looked at.

    `score` is in [0, 1], 1 worst. `parts` holds every sign of every organ as `<organ>_<sign>`, None where it is
    undefined: no flips, or no voxel of the organ. `reasons` are those above 0 in words, the gravest first.
    """

    score: float
    parts: Mapping[str, float | None]
    reasons: tuple[str, ...]


def review(label_map: LabelMap, ct: CTVolume, flip_dss: Mapping[Structure, float | None] | None = None) -> Review:
    """Look at a label map and its CT; the score is 1 - exp(-2 s) with s the sum of all signs of all organs.

    So one sign in full gives 0.86, two 0.98, and several small ones add up. `flip_dss` is the DSS of each organ between
    the label maps of the CT and of the flipped CT; None leaves that sign out. It says something only of a flip that the
    network's training allows for: slices in reverse order, not left and right. Signs, each of one organ:

    - `flips`: 1 - DSS under flips; from 0.10, 1 at 0.50.
    - `steps`: share of voxels in which a slice differs from both slices beside it, which an organ's surface does
      not do however thick the slices are: speckle, slices left out, slices alone; from 3 %, 1 at 20 %.
    - `jumps`: the largest change of area from one slice to the next, in units of the steepest change of an ellipsoid
      of that height (4 x distance of slices / height, of the largest area); from 3, 1 at 8. What lies beyond
      the scan counts neither here nor in `steps`.
    - `islands`: share of its voxels outside its main parts; from 1 %, 1 at 5 %.
    - `holes`: voxels enclosed by it (6 neighbours) as a fraction of its own; from 3 %, 1 at 10 %.
    - `density`: 0.5 where `liverspleen check` warns of what the organ covers (LS-LAB-015 to 017), 1 where it rejects.
    - `status`: `implausible` 1, `multi_part` 0.3, `truncated` 0.2, the largest of those; `absent` 1 for a liver, 0.5
      for a spleen (`absence_weight`).

    Raises:
        ValueError: CT and label map differ in shape.
    """
    if ct.hu.shape != label_map.labels.shape:
        raise ValueError(f"CT has shape {ct.hu.shape}, its label map {label_map.labels.shape}")
    parts: dict[str, float | None] = {}
    told: list[tuple[float, str]] = []
    found = {organ: components(label_map, organ) for organ in label_map.covered}
    for organ, status in statuses_of(label_map, found).items():
        parts |= {f"{organ.key}_{sign}": None for sign in SIGNS}
        if (dss := (flip_dss or {}).get(organ)) is not None:
            parts[f"{organ.key}_flips"] = value = _ramp("flips", 1 - dss)
            told += [(value, f"{organ.key}: DSS {dss:.2f} between the CT and its flip")] if value else []
        for sign, value, words in _signs(label_map, ct, organ, status, found[organ]):
            parts[f"{organ.key}_{sign}"] = value
            if value:
                # a finding of `check` names its organ
                told.append((value, words if sign == "density" else f"{organ.key}: {words}"))
    total = math.fsum(value for value in parts.values() if value is not None)
    return Review(
        1 - math.exp(-_STEEPNESS * total), parts, tuple(words for _, words in sorted(told, key=lambda found: -found[0]))
    )


def _signs(
    label_map: LabelMap, ct: CTVolume, structure: Structure, status: str, own: Components
) -> Iterator[tuple[str, float, str]]:
    """Name, value and words of each sign that is defined."""
    yield "status", _of_status(status, structure), f"its volume is {status.replace(';', ', ')}"
    organ = find_organ(label_map, structure)
    if organ is None:
        return
    yield from _between_slices(organ, label_map)
    total = int(organ.by_slice.sum())
    crumbs = own.voxels[own.main :]
    fraction = int(crumbs.sum()) / total
    yield "islands", _ramp("islands", fraction), f"{fraction:.1%} of it in {crumbs.size} islands"
    holes = enclosed_voxels(organ.mask) / total
    yield "holes", _ramp("holes", holes), f"holes of {holes:.1%} of it"
    issue = next(density_issues(organ, ct.hu), None)
    if issue is None:
        yield "density", 0.0, ""
    else:
        yield "density", 1.0 if issue.severity == "error" else _OF_A_WARNING, issue.message


def _between_slices(organ: Organ, label_map: LabelMap) -> Iterator[tuple[str, float, str]]:
    """`steps` and `jumps`; what lies beyond a face of the scan is unknown and no step."""
    first, last, count = organ.box[0].start, organ.box[0].stop - 1, label_map.labels.shape[0]
    inner = [index for index in range(organ.by_slice.size) if 0 < first + index < count - 1]
    nothing = np.zeros_like(organ.mask[0])
    slices = [nothing, *organ.mask, nothing]
    changed = [np.not_equal(below, above) for below, above in pairwise(slices)]
    alone = {index: int(np.count_nonzero(changed[index] & changed[index + 1])) for index in inner}
    fraction = sum(alone.values()) / int(organ.by_slice.sum())
    worst = max(alone, key=alone.__getitem__, default=0)
    words = f"{fraction:.1%} of its voxels differ from both slices beside them, most in slice {first + worst + 1}"
    yield "steps", _ramp("steps", fraction), words

    areas = [*([0] if first > 0 else []), *organ.by_slice, *([0] if last < count - 1 else [])]
    jumps = np.abs(np.diff(areas)) / organ.by_slice.max()
    jump = float(jumps.max()) if jumps.size else 0.0
    steepest = min(1.0, 4 / organ.by_slice.size)
    at = first + int(jumps.argmax()) + (0 if first > 0 else 1) if jumps.size else first
    words = f"its area changes by {jump:.0%} of the largest from slice {at} to {at + 1}"
    yield "jumps", _ramp("jumps", jump / steepest), words


def _of_status(status: str, structure: Structure) -> float:
    if status == ABSENT:
        return structure.facts.absence_weight
    return max(_OF_A_STATUS.get(word, 0.0) for word in status.split(";"))


def _ramp(sign: str, value: float) -> float:
    low, high = _RAMPS[sign]
    return min(max((value - low) / (high - low), 0.0), 1.0)
