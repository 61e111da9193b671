"""Dunn's test of every pair of subgroups, after Kruskal-Wallis, with effect sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.pair_sums import middle_ranks, smallest_sums
from liverspleen.evaluation.statistics.ranks import RankedGroups, ranked_groups, tie_sum
from liverspleen.evaluation.statistics.samples import Floats, Result


@dataclass(frozen=True)
class DunnPair(Result):
    """Groups `a` and `b`: `z`, `rank_biserial` and `hl_shift` are positive if `a` is larger.

    `p` is unadjusted; `p_holm`, `p_bonferroni` and `p_bh` are adjusted over all pairs. `mann_whitney_u` is that of `a`;
    `p_mw_asymptotic` uses ranks within the two groups only (ties corrected, no continuity correction, unadjusted).
    `rank_biserial` = 2 U / (n_a n_b) - 1; `hl_shift` is the median of all differences a - b.
    """

    a: str
    b: str
    z: float
    p: float
    p_holm: float
    p_bonferroni: float
    p_bh: float
    mann_whitney_u: float
    p_mw_asymptotic: float | None
    rank_biserial: float
    hl_shift: float


@dataclass(frozen=True)
class Dunn(Result):
    """Dunn's test of all pairs of groups that have values; if undefined, no pairs and a `reason`."""

    n: int
    n_missing: int
    group_sizes: dict[str, int]
    empty_groups: tuple[str, ...]
    pairs: tuple[DunnPair, ...]
    method: str
    reason: str | None


def dunn(groups: Mapping[str, ArrayLike]) -> Dunn:
    """Compare each pair of groups by Dunn's two-sided test, with p values adjusted by Holm, Bonferroni and BH.

    Ranks are over all groups, and the variance is corrected for ties. NaN is dropped and counted; groups without
    a value are excluded and listed. Undefined with fewer than two groups that have values, and if all values are equal.

    Raises:
        ValueError: a group is not one-dimensional or contains an infinity.

    Source: Dunn, Technometrics 1964;6:241-252; Holm, Scand J Stat 1979;6:65-70; Benjamini and Hochberg, J R Stat Soc B
    1995;57:289-300.

    >>> result = dunn({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": []})
    >>> [(pair.a, pair.b, round(pair.p, 4), pair.hl_shift) for pair in result.pairs], result.empty_groups
    ([('a', 'b', 0.1213, -2.0)], ('c',))
    """
    ranked = ranked_groups(groups)
    names = list(combinations(ranked.values, 2)) if ranked.reason is None else []
    statistics = np.array([_z(ranked, a, b) for a, b in names])
    unadjusted = _two_sided_normal(statistics)
    adjusted = [holm(unadjusted), np.minimum(unadjusted * len(names), 1), _benjamini_hochberg(unadjusted)]
    columns = [column.tolist() for column in (statistics, unadjusted, *adjusted)]
    return Dunn(
        n=ranked.n,
        n_missing=ranked.n_missing,
        group_sizes=ranked.sizes,
        empty_groups=ranked.empty,
        pairs=tuple(
            DunnPair(a, b, z, p, holm, bonferroni, bh, *_two_groups(ranked.values[a], ranked.values[b]))
            for (a, b), z, p, holm, bonferroni, bh in zip(names, *columns, strict=True)
        ),
        method="Dunn, ranks over all groups, variance corrected for ties, two-sided; Holm over all pairs",
        reason=ranked.reason,
    )


def _z(ranked: RankedGroups, a: str, b: str) -> float:
    n, first, second = ranked.n, ranked.ranks[a], ranked.ranks[b]
    variance = (n * (n + 1) / 12 - ranked.tie_sum / (12 * (n - 1))) * (1 / first.size + 1 / second.size)
    return float(first.mean() - second.mean()) / math.sqrt(variance)


def _two_groups(a: Floats, b: Floats) -> tuple[float, float | None, float, float]:
    """Return Mann-Whitney U of `a`, its asymptotic p value, rank-biserial correlation and Hodges-Lehmann shift."""
    product, n = a.size * b.size, a.size + b.size
    ordered = np.sort(b)
    below = int(np.searchsorted(ordered, a, "left").sum())
    not_above = int(np.searchsorted(ordered, a, "right").sum())
    u = 0.5 * (below + not_above)
    shift = float(np.mean(smallest_sums(a, -b, middle_ranks(product))))
    variance = product / 12 * (n + 1 - tie_sum(np.concatenate([a, b])) / (n * (n - 1)))
    p = float(_two_sided_normal(np.array((u - product / 2) / math.sqrt(variance)))) if variance > 0 else None
    return u, p, 2 * u / product - 1, shift


def _two_sided_normal(z: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(2 * ndtr(-np.abs(z)), dtype=np.float64)


def holm(p: Floats) -> Floats:
    """Return the p values adjusted by Holm for `p.size` tests."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return adjusted


def _benjamini_hochberg(p: Floats) -> Floats:
    order = np.argsort(-p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    return adjusted
