"""Review score of a predicted case, computed without a reference; it ranks the cases for review."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from liverspleen.cohort.findings.labels import density_issues
from liverspleen.cohort.findings.organ import Organ, find_organ
from liverspleen.errors import counted
from liverspleen.evaluation.metrics.connected_components import Components, components, enclosed_voxels
from liverspleen.evaluation.metrics.volume import ABSENT, IMPLAUSIBLE, MULTI_PART, TRUNCATED, statuses_of
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure

SIGNS: Final = ("flips", "members", "steps", "jumps", "islands", "holes", "density", "status")
"""Signs of errors in each organ; each has a value from 0 (no sign) to 1."""

_RAMPS: Final[Mapping[str, tuple[float, float]]] = {
    "flips": (0.10, 0.50),
    "members": (0.10, 0.50),
    "steps": (0.03, 0.20),
    "jumps": (3.0, 8.0),
    "islands": (0.01, 0.05),
    "holes": (0.03, 0.10),
}
"""Start value, below which a sign is 0, and full value, from which it is 1; linear between them.

The start values are at or above those of true masks: 15 phantoms with slices of 5 mm, also joined to 15 mm, truncated
and with missing slices, and five label maps of real CT. The full values were set on predictions of those phantoms.
`members` has the values of `flips`: both are 1 - DSS of predictions of one CT.
"""
_STATUS_VALUES: Final[Mapping[str, float]] = {IMPLAUSIBLE: 1.0, MULTI_PART: 0.3, TRUNCATED: 0.2}
_WARNING_VALUE: Final = 0.5
_STEEPNESS: Final = 2.0  # does not change the order; one sign at full strength gives a high score


@dataclass(frozen=True)
class Review:
    """Need of a case for a review.

    `score` is in [0, 1], 1 worst. `parts` holds every sign of every organ as `<organ>_<sign>`, None if it is undefined:
    no flips, no ensemble, or no voxel of the organ. `reasons` describes the signs above 0, the largest first.
    """

    score: float
    parts: Mapping[str, float | None]
    reasons: tuple[str, ...]


def review(
    label_map: LabelMap,
    ct: CTVolume,
    flip_dss: Mapping[Structure, float | None] | None = None,
    member_dss: Mapping[Structure, float | None] | None = None,
) -> Review:
    """Return the review of a label map; the score is 1 - exp(-2 s), where s is the sum of all signs of all organs.

    One sign at full strength gives 0.86, two give 0.98, and several small ones add up. `flip_dss` is the DSS of each
    organ between the label maps of the CT and of the flipped CT; None: the sign is undefined. It is meaningful only for
    a flip that the network's training allows: slices in reverse order, not left and right. Signs of each organ, with
    start and full value:

    - `flips` (0.10, 0.50): 1 - DSS under flips.
    - `members` (0.10, 0.50): disagreement of the members of an ensemble, 1 - `member_dss`, their DSS pooled over all
      pairs (`MemberScores.agreement`); None: the sign is undefined, as for one model.
    - `steps` (3 %, 20 %): voxels in which a slice differs from both slices beside it, as a fraction of the organ. A
      smooth organ has almost none, at any slice thickness; speckle, missing slices and single slices have many.
    - `jumps` (3, 8): largest change of area from one slice to the next, divided by the steepest change of an ellipsoid
      of the same height (4 x distance of slices / height, of the largest area). Faces of the scan count neither here
      nor in `steps`.
    - `islands` (1 %, 5 %): fraction of its voxels outside its main parts.
    - `holes` (3 %, 10 %): voxels it encloses (6 neighbours), as a fraction of its own.
    - `density`: findings of `liverspleen check` on the voxels of the organ (LS-LAB-015 to 017): 0.5 for a warning, 1
      for an error.
    - `status`: the largest of `implausible` 1, `multi_part` 0.3, `truncated` 0.2; `absent` 1 for a liver, 0.5 for a
      spleen (`absence_weight`).

    Raises:
        ValueError: CT and label map differ in shape.
    """
    if ct.hu.shape != label_map.labels.shape:
        raise ValueError(f"CT has shape {ct.hu.shape}, its label map {label_map.labels.shape}")
    parts: dict[str, float | None] = {}
    reasons: list[tuple[float, str]] = []
    found = {organ: components(label_map, organ) for organ in label_map.covered}
    for organ, status in statuses_of(label_map, found).items():
        parts |= {f"{organ.key}_{sign}": None for sign in SIGNS}
        if (dss := (flip_dss or {}).get(organ)) is not None:
            parts[f"{organ.key}_flips"] = value = _ramp("flips", 1 - dss)
            reasons += [(value, f"{organ.key}: DSS {dss:.2f} between the CT and its flip")] if value else []
        if (dss := (member_dss or {}).get(organ)) is not None:
            parts[f"{organ.key}_members"] = value = _ramp("members", 1 - dss)
            reasons += [(value, f"{organ.key}: DSS {dss:.2f} between the members of the ensemble")] if value else []
        for sign, value, reason in _signs(label_map, ct, organ, status, found[organ]):
            parts[f"{organ.key}_{sign}"] = value
            if value:
                # a message of `check` contains the name of the organ
                reasons.append((value, reason if sign == "density" else f"{organ.key}: {reason}"))
    total = math.fsum(value for value in parts.values() if value is not None)
    reasons.sort(key=lambda reason: -reason[0])
    return Review(1 - math.exp(-_STEEPNESS * total), parts, tuple(text for _, text in reasons))


def _signs(
    label_map: LabelMap, ct: CTVolume, structure: Structure, status: str, own: Components
) -> Iterator[tuple[str, float, str]]:
    """Yield name, value and reason of each sign that is defined."""
    yield "status", _status_value(status, structure), f"its volume status is {status.replace(';', ', ')}"
    organ = find_organ(label_map, structure)
    if organ is None:
        return
    yield from _between_slices(organ, label_map)
    total = int(organ.by_slice.sum())
    crumbs = own.voxels[own.main :]
    fraction = int(crumbs.sum()) / total
    yield "islands", _ramp("islands", fraction), f"{fraction:.1%} of its voxels are in {counted(crumbs.size, 'island')}"
    holes = enclosed_voxels(organ.mask) / total
    yield "holes", _ramp("holes", holes), f"holes of {holes:.1%} of its volume"
    issue = next(density_issues(organ, ct.hu), None)
    if issue is None:
        yield "density", 0.0, ""
    else:
        yield "density", 1.0 if issue.severity == "error" else _WARNING_VALUE, issue.message


def _between_slices(organ: Organ, label_map: LabelMap) -> Iterator[tuple[str, float, str]]:
    """Yield `steps` and `jumps`; voxels beyond a face of the scan are unknown and do not count."""
    first, last, count = organ.box[0].start, organ.box[0].stop - 1, label_map.labels.shape[0]
    inner = [index for index in range(organ.by_slice.size) if 0 < first + index < count - 1]
    empty = np.zeros_like(organ.mask[0])
    slices = [empty, *organ.mask, empty]
    changed = [np.not_equal(below, above) for below, above in pairwise(slices)]
    differing = {index: int(np.count_nonzero(changed[index] & changed[index + 1])) for index in inner}
    fraction = sum(differing.values()) / int(organ.by_slice.sum())
    worst = max(differing, key=differing.__getitem__, default=0)
    reason = f"{fraction:.1%} of its voxels differ from both slices beside them, most in slice {first + worst + 1}"
    yield "steps", _ramp("steps", fraction), reason

    areas = [*([0] if first > 0 else []), *organ.by_slice, *([0] if last < count - 1 else [])]
    jumps = np.abs(np.diff(areas)) / organ.by_slice.max()
    jump = float(jumps.max()) if jumps.size else 0.0
    steepest = min(1.0, 4 / organ.by_slice.size)
    at = first + int(jumps.argmax()) + (0 if first > 0 else 1) if jumps.size else first
    reason = f"its area changes by {jump:.0%} of the largest area from slice {at} to {at + 1}"
    yield "jumps", _ramp("jumps", jump / steepest), reason


def _status_value(status: str, structure: Structure) -> float:
    if status == ABSENT:
        return structure.facts.absence_weight
    return max(_STATUS_VALUES.get(part, 0.0) for part in status.split(";"))


def _ramp(sign: str, value: float) -> float:
    low, high = _RAMPS[sign]
    return min(max((value - low) / (high - low), 0.0), 1.0)
