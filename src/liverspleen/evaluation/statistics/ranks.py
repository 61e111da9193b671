"""Common parts of rank tests: groups without missing values, ties, and differences without float noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.arrays import labels_of
from liverspleen.evaluation.statistics.samples import Floats, one_sample

RANKED_DIGITS: Final = 11
"""Differences are rounded to this number of significant digits of the readings before they are ranked."""


@dataclass(frozen=True)
class RankedGroups:
    """Groups that have values, with the ranks of these among all values; `sizes` includes empty groups."""

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
        """Why a comparison of the groups is undefined; None if it is defined."""
        if len(self.values) < 2:
            return "fewer than 2 groups have values"
        return "all values are equal" if self.tie_sum == self.n**3 - self.n else None


def ranked_groups(groups: Mapping[str, ArrayLike]) -> RankedGroups:
    """Rank the values of all groups together, with average ranks for ties; NaN is dropped and counted.

    Raises:
        ValueError: a group is not one-dimensional or contains an infinity.

    >>> ranked_groups({"a": [1.0, 2.0], "b": [2.0], "c": [None]}).ranks["b"].tolist()
    [2.5]
    """
    from scipy.stats import rankdata

    labels_of(groups, "group names")
    samples = {name: one_sample(values) for name, values in groups.items()}
    present = {name: sample[~np.isnan(sample)] for name, sample in samples.items()}
    nonempty = {name: sample for name, sample in present.items() if sample.size}
    pooled = np.concatenate([*nonempty.values(), np.empty(0)])
    parts = (
        np.split(rankdata(pooled), np.cumsum([sample.size for sample in nonempty.values()])[:-1]) if nonempty else []
    )
    return RankedGroups(
        values=nonempty,
        ranks=dict(zip(nonempty, parts, strict=True)),
        sizes={name: int(sample.size) for name, sample in present.items()},
        tie_sum=tie_sum(pooled),
        n_missing=sum(sample.size for sample in samples.values()) - pooled.size,
    )


def tie_sum(values: Floats) -> float:
    """Return the sum of t³ - t over groups of t equal values."""
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((counts**3 - counts).sum())


def rounded(differences: Floats, magnitude: float) -> Floats:
    """Round differences so that they have no floating-point noise of readings of this magnitude."""
    if magnitude == 0:
        return differences
    # Capped: 10 to a larger power overflows float64.
    return np.round(differences, min(RANKED_DIGITS - 1 - math.floor(math.log10(magnitude)), 300))
