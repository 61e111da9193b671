"""What rank tests share: groups without their missing values, ties, and differences freed of float noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.samples import Floats, one_sample

RANKED_DIGITS: Final = 11
"""Differences are rounded to this many digits below the leading one of the readings before they are ranked."""


@dataclass(frozen=True)
class RankedGroups:
    """Groups that hold a value, with the ranks of their values among all; `sizes` names the empty ones as well."""

    values: dict[str, Floats]
    ranks: dict[str, Floats]
    sizes: dict[str, int]
    tie_sum: float
    n_missing: int

    @property
    def n(self) -> int:
        """Number of values in all groups."""
        return sum(self.sizes.values())

    @property
    def empty(self) -> tuple[str, ...]:
        """Names of the groups without a value."""
        return tuple(name for name, size in self.sizes.items() if not size)

    @property
    def reason(self) -> str | None:
        """Why no comparison of the groups is defined, if none is."""
        if len(self.values) < 2:
            return "fewer than two groups hold values"
        return "all values are the same" if self.tie_sum == self.n**3 - self.n else None


def ranked_groups(groups: Mapping[str, ArrayLike]) -> RankedGroups:
    """Groups with average ranks over all of them; NaN is dropped and counted.

    Raises:
        ValueError: a group is not one-dimensional or holds an infinity.

    >>> ranked_groups({"a": [1.0, 2.0], "b": [2.0], "c": [None]}).ranks["b"].tolist()
    [2.5]
    """
    from scipy.stats import rankdata

    samples = {name: one_sample(values) for name, values in groups.items()}
    held = {name: sample[~np.isnan(sample)] for name, sample in samples.items()}
    filled = {name: sample for name, sample in held.items() if sample.size}
    pooled = np.concatenate([*filled.values(), np.empty(0)])
    parts = np.split(rankdata(pooled), np.cumsum([sample.size for sample in filled.values()])[:-1]) if filled else []
    return RankedGroups(
        values=filled,
        ranks=dict(zip(filled, parts, strict=True)),
        sizes={name: int(sample.size) for name, sample in held.items()},
        tie_sum=tie_sum(pooled),
        n_missing=sum(sample.size for sample in samples.values()) - pooled.size,
    )


def tie_sum(values: Floats) -> float:
    """Sum of t³ - t over groups of t equal values."""
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((counts**3 - counts).sum())


def rounded(differences: Floats, magnitude: float) -> Floats:
    """The differences without the digits that floating point alone can make in readings of this magnitude."""
    if magnitude == 0:
        return differences
    # Capped: 10 to a larger power is no float64.
    return np.round(differences, min(RANKED_DIGITS - 1 - math.floor(math.log10(magnitude)), 300))
