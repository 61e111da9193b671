"""Confidence interval of a proportion."""

from __future__ import annotations

import math

from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval


def wilson_interval(count: int, n: int, *, confidence: float = CONFIDENCE) -> Interval | None:
    """Return Wilson's score interval of `count` / `n`, which stays in [0, 1]; None for n = 0.

    Raises:
        ValueError: `count` is not from 0 to `n`.

    Source: Wilson, J Am Stat Assoc 1927;22:209-212.

    >>> [round(bound, 4) for bound in wilson_interval(0, 10)]
    [0.0, 0.2775]
    >>> wilson_interval(0, 0) is None
    True
    """
    from scipy.special import ndtri

    if not 0 <= count <= n:
        raise ValueError(f"count {count} is not from 0 to {n}")
    if n == 0:
        return None
    z = float(ndtri((1 + confidence) / 2))
    share, scale = count / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Interval(max(0.0, middle - half) if count else 0.0, min(1.0, middle + half) if count < n else 1.0)
