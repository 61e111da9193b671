"""Proposal of the next cases to correct: doubtful ones that differ from each other and from the cases known already.

The cases are chosen one after the other: the next one has the largest product of

- its doubt, as a rank from above 0 to 1 among all cases, and
- its distance to the nearest case that is chosen or known.

Doubt is the review score of the prediction, or 1 - DSS between the members of an ensemble if that is larger. The
distance is Gower's coefficient (Biometrics 1971;27:857-871): the mean over all features of the difference. Numbers are
compared by their ranks, scaled to 0 to 1; condition and site differ by 1 or 0; a feature that one of both cases does
not have is not counted.

Sources: greedy k-center (Gonzalez, Theoretical Computer Science 1985;38:293-306), used as a core-set for active
learning by Sener and Savarese (ICLR 2018, arXiv:1708.00489); uncertainty together with representativeness for
segmentation: Yang et al., Suggestive Annotation (MICCAI 2017, arXiv:1706.04737). The product of both, ranks and these
features are a choice of this project.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.imaging.files import read_grid
from liverspleen.inference.case_files import Sidecar
from liverspleen.organs import ORGAN_KEYS, RATIO_OF

_DIGITS: Final = 12
"""Products that agree in these digits are equal, so that no machine breaks a tie in another way."""


@dataclass(frozen=True)
class Candidate:
    """What is known about a predicted case; None and "" are unknown.

    `numbers` are the volumes of the organs, their ratio, their attenuation and the distance of the slices; `names` are
    condition and site.
    """

    case_id: str
    doubt: float
    numbers: tuple[float | None, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """A proposed case; `weight` is the rank of its doubt, `nearest` the case at `distance`, None for the first one."""

    case_id: str
    doubt: float
    weight: float
    distance: float
    nearest: str | None

    def __str__(self) -> str:
        """Return one line about the choice."""
        near = "the first case" if self.nearest is None else f"distance {self.distance:.2f} from {self.nearest}"
        return f"{self.case_id}: doubt {self.doubt:.3f}, {near}"


def candidate(sidecar: Sidecar, label_map: Path) -> Candidate:
    """Return what the sidecar and the header of a label map state.

    Raises:
        InputError: the label map cannot be read.
    """
    rows = {row.structure: row for row in sidecar.measurements}
    volumes = {key: rows[key].volume_cm3 if key in rows else None for key in ORGAN_KEYS}
    first, second = (volumes[organ.key] for organ in RATIO_OF)
    attenuation = [rows[key].hu_mean if key in rows else None for key in ORGAN_KEYS]
    members = sidecar.content.get("member_dss") or {}
    least = min((float(dss) for dss in members.values() if dss is not None), default=1.0)
    thickness = read_grid(label_map, case_id=sidecar.case_id).spacing_mm[0]
    one = sidecar.measurements[0]
    return Candidate(
        sidecar.case_id,
        max(float(sidecar.content["review"]["score"]), 1 - least),
        (*volumes.values(), first / second if first is not None and second else None, *attenuation, thickness),
        (one.condition, one.site),
    )


def proposed(candidates: Sequence[Candidate], number: int, *, known: Collection[str] = ()) -> list[Choice]:
    """Return the next `number` cases to correct, in the order of the choice; fewer if only fewer are free.

    Args:
        candidates: all cases of the predictions, also the known ones.
        number: cases to choose.
        known: ids of cases that are not chosen again, and whose neighbours are less useful.

    The order of `candidates` has no effect. If products are equal, the larger distance decides, then the case_id.

    >>> cases = [Candidate("a", 0.9, (1.0,)), Candidate("b", 0.8, (1.1,)), Candidate("c", 0.3, (5.0,))]
    >>> [choice.case_id for choice in proposed(cases, 2)]  # b is doubtful, but nearly the same as a
    ['a', 'c']
    >>> [choice.case_id for choice in proposed(cases, 2, known={"a"})]
    ['c', 'b']
    """
    ordered = sorted(candidates, key=lambda one: one.case_id)
    if not ordered:
        return []
    features = _Features(ordered)
    weights = _ranks(np.array([one.doubt for one in ordered]))
    distances = np.ones(len(ordered))  # without a known case, all cases are equally far
    nearest: list[str | None] = [None] * len(ordered)
    free = np.ones(len(ordered), bool)

    def add(index: int) -> None:
        free[index] = False
        found = features.distances(index)
        closer = (found < distances) | np.array([one is None for one in nearest])
        distances[closer] = found[closer]
        for position in np.nonzero(closer)[0]:
            nearest[position] = ordered[index].case_id

    for index, one in enumerate(ordered):
        if one.case_id in known:
            add(index)
    choices = []
    for _ in range(min(number, int(free.sum()))):
        products = np.where(free, np.round(weights * distances, _DIGITS), -1.0)
        best = np.nonzero(products == products.max())[0]
        index = int(best[np.argmax(distances[best])])
        one = ordered[index]
        found = float(weights[index]), float(distances[index])
        choices.append(Choice(one.case_id, one.doubt, *found, nearest[index]))
        add(index)
    return choices


def recorded_choice(choice: Choice) -> Mapping[str, Any]:
    """Return what the history of a case records about its proposal."""
    return {name: getattr(choice, name) for name in ("doubt", "weight", "distance", "nearest")}


class _Features:
    """Features of all cases, scaled to differences from 0 to 1."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        values = np.array([[np.nan if n is None else n for n in one.numbers] for one in candidates], dtype=np.float64)
        self._numbers = np.stack([_scaled_ranks(column) for column in values.T], axis=1)
        self._names = np.array([one.names for one in candidates], dtype=object).reshape(len(candidates), -1)

    def distances(self, index: int) -> NDArray[np.float64]:
        """Return Gower's distance of each case to one of them; 1 if they have no common feature."""
        numbers = np.abs(self._numbers - self._numbers[index])
        differ = (self._names != self._names[index]).astype(np.float64)
        differ[(self._names == "") | (self._names[index] == "")] = np.nan
        found = np.concatenate([numbers, differ], axis=1)
        defined = np.isfinite(found).sum(axis=1)
        return np.where(defined, np.nansum(found, axis=1) / np.maximum(defined, 1), 1.0)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1/n to 1; equal values have their mean rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values) / len(values))


def _scaled_ranks(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 0 to 1, the mean rank for equal values; an unknown value stays NaN."""
    ranks, defined = np.full(len(column), np.nan), np.isfinite(column)
    if number := int(defined.sum()):
        ranks[defined] = (_ranks(column[defined]) * number - 1) / max(number - 1, 1)
    return ranks
