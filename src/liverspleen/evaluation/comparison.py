"""Comparison of DSS between subgroups (Kruskal-Wallis) and between two CTs of a patient (Wilcoxon signed-rank)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.samples import Floats, Result, complete_pairs, one_sample

RANKED_DIGITS: Final = 11
"""Differences are rounded to this many digits below the leading one of the readings before they are ranked."""


@dataclass(frozen=True)
class KruskalWallis(Result):
    """Kruskal-Wallis test; `statistic` is the tie-corrected H."""

    n: int
    n_missing: int
    group_sizes: dict[str, int]
    mean_ranks: dict[str, float]
    empty_groups: tuple[str, ...]
    statistic: float | None
    statistic_uncorrected: float | None
    tie_correction: float | None
    df: int | None
    p: float | None
    method: str
    reason: str | None


@dataclass(frozen=True)
class WilcoxonSignedRank(Result):
    """Wilcoxon signed-rank test; `statistic` is the smaller rank sum, `z` belongs to `w_plus` (test above reference).

    `z_spss` is the Z that SPSS prints: that of the smaller rank sum, never positive.
    """

    n: int
    n_dropped: int
    n_zero: int
    n_used: int
    w_plus: float | None
    w_minus: float | None
    statistic: float | None
    z: float | None
    z_spss: float | None
    p: float | None
    method: str
    reason: str | None


def kruskal_wallis(groups: Mapping[str, ArrayLike]) -> KruskalWallis:
    """Do the groups share one distribution? H corrected for ties, p from χ² with k - 1 degrees of freedom.

    NaN is dropped and counted; groups without a value are left out and named. Undefined with fewer than two groups
    that hold values, and when all values are the same.

    Raises:
        ValueError: a group is not one-dimensional or holds an infinity.

    Source: Kruskal and Wallis, J Am Stat Assoc 1952;47:583-621.

    >>> result = kruskal_wallis({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": []})
    >>> round(result.statistic, 12), result.df, result.empty_groups
    (2.4, 1, ('c',))
    """
    from scipy.stats import chi2, rankdata

    samples = {name: one_sample(values) for name, values in groups.items()}
    held = {name: sample[~np.isnan(sample)] for name, sample in samples.items()}
    filled = {name: sample for name, sample in held.items() if sample.size}
    pooled = np.concatenate([*filled.values(), np.empty(0)])
    n = pooled.size
    sizes = np.array([sample.size for sample in filled.values()])
    parts = np.split(rankdata(pooled), np.cumsum(sizes)[:-1]) if filled else []
    mean_ranks = np.array([part.mean() for part in parts])
    reason = "fewer than two groups hold values" if len(filled) < 2 else None
    correction = uncorrected = statistic = p = None
    if reason is None:
        correction = 1 - _ties(pooled) / (n**3 - n)
        uncorrected = float(12 / (n * (n + 1)) * (sizes * (mean_ranks - (n + 1) / 2) ** 2).sum())
        if correction > 0:
            statistic = uncorrected / correction
            p = float(chi2.sf(statistic, len(filled) - 1))
        else:
            reason = "all values are the same"
    return KruskalWallis(
        n=n,
        n_missing=sum(sample.size for sample in samples.values()) - n,
        group_sizes={name: int(sample.size) for name, sample in held.items()},
        mean_ranks=dict(zip(filled, mean_ranks.tolist(), strict=True)),
        empty_groups=tuple(name for name, sample in held.items() if not sample.size),
        statistic=statistic,
        statistic_uncorrected=uncorrected,
        tie_correction=correction,
        df=len(filled) - 1 if len(filled) > 1 else None,
        p=p,
        method="Kruskal-Wallis, H corrected for ties, chi-square with k - 1 degrees of freedom",
        reason=reason,
    )


def wilcoxon_signed_rank(test: ArrayLike, reference: ArrayLike) -> WilcoxonSignedRank:
    """Are the paired differences test - reference symmetric about zero? As SPSS computes it.

    Zero differences are dropped, tied ones share their average rank, p is two-sided from the normal approximation with
    the variance corrected for ties and without continuity correction, at every n. Differences are rounded before they
    are ranked, so that float noise breaks no ties. Pairs with NaN are dropped and counted. Undefined without a
    nonzero difference.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, or hold an infinity.

    Source: Wilcoxon, Biometrics Bull 1945;1:80-83; IBM SPSS Statistics Algorithms, NPAR TESTS.

    >>> result = wilcoxon_signed_rank([1.0, 3.0, 2.0], [0.0, 1.0, 2.0])
    >>> result.n_used, result.w_plus, round(result.p, 4)
    (2, 3.0, 0.1797)
    """
    from scipy.stats import norm, rankdata

    pairs = complete_pairs(test, reference)
    differences = _rounded(pairs.test - pairs.reference, pairs.magnitude)
    nonzero = differences[differences != 0]
    n, used = differences.size, nonzero.size
    w_plus = w_minus = z = p = None
    if used:
        ranks = rankdata(np.abs(nonzero))
        w_plus, w_minus = float(ranks[nonzero > 0].sum()), float(ranks[nonzero < 0].sum())
        variance = used * (used + 1) * (2 * used + 1) / 24 - _ties(np.abs(nonzero)) / 48
        z = (w_plus - used * (used + 1) / 4) / math.sqrt(variance)
        p = float(2 * norm.sf(abs(z)))
    return WilcoxonSignedRank(
        n=n,
        n_dropped=pairs.n_missing,
        n_zero=n - used,
        n_used=used,
        w_plus=w_plus,
        w_minus=w_minus,
        statistic=None if w_plus is None or w_minus is None else min(w_plus, w_minus),
        z=z,
        z_spss=None if z is None else -abs(z),
        p=p,
        method="Wilcoxon signed-rank, zeros dropped, average ranks, asymptotic with tie-corrected variance, "
        "no continuity correction (SPSS)",
        reason=None if used else "no complete pair" if n == 0 else "all differences are zero",
    )


def _ties(values: Floats) -> float:
    """Sum of t³ - t over groups of t equal values."""
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((counts**3 - counts).sum())


def _rounded(differences: Floats, magnitude: float) -> Floats:
    """The differences without the digits that floating point alone can make in readings of this magnitude."""
    if magnitude == 0:
        return differences
    # Capped: 10 to a larger power is no float64.
    return np.round(differences, min(RANKED_DIGITS - 1 - math.floor(math.log10(magnitude)), 300))
