"""Hodges-Lehmann estimate of a paired shift, with its distribution-free interval."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval
from liverspleen.evaluation.statistics.pair_sums import middle_ranks, smallest_own_sums
from liverspleen.evaluation.statistics.samples import Floats

EXACT_UP_TO: Final = 50
"""Number of differences up to which the interval uses the exact distribution of the signed-rank statistic."""


def hodges_lehmann(differences: Floats) -> tuple[float | None, Interval | None]:
    """Return the median of the Walsh averages (d_i + d_j)/2, i ≤ j, zeros included, and its 95 % interval.

    The interval runs from the k-th smallest to the k-th largest Walsh average; k is exact for a symmetric distribution
    without ties up to 50 differences (at least 95 %), and from the normal approximation for more. The interval is
    undefined with fewer than six differences, for which no Walsh average reaches 95 %, and if all are equal.

    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd ed., sections 3.2 and 3.3.

    >>> hodges_lehmann(np.array([1.0, 2.0, 6.0]))
    (2.75, None)
    """
    n = differences.size
    if n == 0:
        return None, None
    sums = n * (n + 1) // 2
    rank = _interval_rank(n)
    bounds = () if rank is None or differences.min() == differences.max() else (rank, sums - rank + 1)
    found = smallest_own_sums(differences, (*bounds, *middle_ranks(sums)))
    estimate = float(np.mean(found[len(bounds) :])) / 2
    return estimate, Interval(found[0] / 2, found[1] / 2) if bounds else None


@lru_cache(maxsize=4096)
def _interval_rank(n: int) -> int | None:
    """Return the largest k with P(W < k) ≤ 2.5 % for the signed-rank statistic W of `n` differences; None if 0."""
    tail = (1 - CONFIDENCE) / 2
    if n > EXACT_UP_TO:
        from scipy.special import ndtri

        return round(n * (n + 1) / 4 + float(ndtri(tail)) * math.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    # Coefficients of the product of (1 + x^i): the number of the 2^n sign patterns for each value of W.
    ways = np.ones(1)
    for rank in range(1, n + 1):
        ways = np.concatenate([ways, np.zeros(rank)]) + np.concatenate([np.zeros(rank), ways])
    return int(np.searchsorted(np.cumsum(ways) / 2**n, tail, side="right")) or None
