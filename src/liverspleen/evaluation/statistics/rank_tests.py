"""Rank tests: DSS of subgroups (Kruskal-Wallis), and DSS of two CT scans per patient (Wilcoxon signed-rank)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.hodges_lehmann import hodges_lehmann
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.evaluation.statistics.ranks import ranked_groups, rounded, tie_sum
from liverspleen.evaluation.statistics.samples import Result, complete_pairs, mean_and_sd, reasons


@dataclass(frozen=True)
class KruskalWallis(Result):
    """Kruskal-Wallis test; `statistic` is the tie-corrected H.

    Effect sizes: `epsilon_squared` = H / (n - 1) and `eta_squared_h` = (H - k + 1) / (n - k), k groups with values.
    """

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
    epsilon_squared: float | None
    eta_squared_h: float | None
    method: str
    reason: str | None


@dataclass(frozen=True)
class WilcoxonSignedRank(Result):
    """Wilcoxon signed-rank test; `statistic` is the smaller rank sum, `z` is that of `w_plus` (test above reference).

    `z_spss` is the Z that SPSS prints: the Z of the smaller rank sum, never positive. Effect sizes: `rank_biserial` =
    (w_plus - w_minus) / (w_plus + w_minus); `hodges_lehmann`, the shift in the units of the readings, zeros included;
    `cohen_dz`, mean / SD of the differences.
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
    rank_biserial: float | None
    hodges_lehmann: float | None
    hodges_lehmann_ci: Interval | None
    median_difference: float | None
    cohen_dz: float | None
    method: str
    reason: str | None


def kruskal_wallis(groups: Mapping[str, ArrayLike]) -> KruskalWallis:
    """Test if the groups have one distribution: H corrected for ties, p value from χ² with k - 1 degrees of freedom.

    NaN is dropped and counted; groups without a value are excluded and listed. Undefined with fewer than two groups
    that have values, and if all values are equal.

    Raises:
        ValueError: a group is not one-dimensional or contains an infinity.

    Source: Kruskal and Wallis, J Am Stat Assoc 1952;47:583-621; effect sizes: Tomczak and Tomczak, Trends Sport Sci
    2014;1:19-25.

    >>> result = kruskal_wallis({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": []})
    >>> round(result.statistic, 12), result.df, result.empty_groups
    (2.4, 1, ('c',))
    """
    from scipy.special import chdtrc

    ranked = ranked_groups(groups)
    n, k = ranked.n, len(ranked.values)
    mean_ranks = {name: float(ranks.mean()) for name, ranks in ranked.ranks.items()}
    correction = uncorrected = statistic = p = eta_squared = None
    if k > 1:
        deviations = sum(ranks.size * (mean_ranks[name] - (n + 1) / 2) ** 2 for name, ranks in ranked.ranks.items())
        uncorrected = 12 / (n * (n + 1)) * deviations
        correction = 1 - ranked.tie_sum / (n**3 - n)
    if uncorrected is not None and correction:
        statistic = uncorrected / correction
        p = float(chdtrc(k - 1, statistic))
        eta_squared = (statistic - k + 1) / (n - k) if n > k else None
    return KruskalWallis(
        n=n,
        n_missing=ranked.n_missing,
        group_sizes=ranked.sizes,
        mean_ranks=mean_ranks,
        empty_groups=ranked.empty,
        statistic=statistic,
        statistic_uncorrected=uncorrected,
        tie_correction=correction,
        df=k - 1 if k > 1 else None,
        p=p,
        epsilon_squared=None if statistic is None else statistic / (n - 1),
        eta_squared_h=eta_squared,
        method="Kruskal-Wallis, H corrected for ties, chi-square with k - 1 degrees of freedom",
        reason=ranked.reason,
    )


def wilcoxon_signed_rank(test: ArrayLike, reference: ArrayLike) -> WilcoxonSignedRank:
    """Test if the paired differences test - reference are symmetric about zero, with the method of SPSS.

    Zero differences are dropped, and tied ones get their average rank. The p value is two-sided and comes from the
    normal approximation with the variance corrected for ties and without continuity correction, at every n. Differences
    are rounded before they are ranked, so that float noise breaks no ties. Pairs with NaN are dropped and counted.
    Undefined without a nonzero difference. The Hodges-Lehmann shift includes the zeros, and its 95 % interval is the
    distribution-free one of the Walsh averages (six differences or more). It is not the inverse of the test, which
    drops zeros.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, or contain an infinity.

    Source: Wilcoxon, Biometrics Bull 1945;1:80-83; IBM SPSS Statistics Algorithms, NPAR TESTS; rank-biserial: Kerby,
    Compr Psychol 2014;3:11.IT.3.1.

    >>> result = wilcoxon_signed_rank([1.0, 3.0, 2.0], [0.0, 1.0, 2.0])
    >>> result.n_used, result.w_plus, round(result.p, 4)
    (2, 3.0, 0.1797)
    """
    from scipy.stats import norm, rankdata

    pairs = complete_pairs(test, reference)
    differences = rounded(pairs.test - pairs.reference, pairs.magnitude)
    nonzero = differences[differences != 0]
    n, used = differences.size, nonzero.size
    w_plus = w_minus = z = p = None
    shift, shift_interval = hodges_lehmann(differences)
    mean, sd = mean_and_sd(differences, pairs.magnitude)
    if used:
        ranks = rankdata(np.abs(nonzero))
        w_plus, w_minus = float(ranks[nonzero > 0].sum()), float(ranks[nonzero < 0].sum())
        variance = used * (used + 1) * (2 * used + 1) / 24 - tie_sum(np.abs(nonzero)) / 48
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
        rank_biserial=None if w_plus is None or w_minus is None else (w_plus - w_minus) / (w_plus + w_minus),
        hodges_lehmann=shift,
        hodges_lehmann_ci=shift_interval,
        median_difference=float(np.median(differences)) if n else None,
        cohen_dz=mean / sd if mean is not None and sd else None,
        method="Wilcoxon signed-rank, zeros dropped, average ranks, asymptotic with tie-corrected variance, "
        "no continuity correction (SPSS)",
        reason=_wilcoxon_reason(n, used, shift_interval, sd),
    )


def _wilcoxon_reason(n: int, used: int, shift_interval: Interval | None, sd: float | None) -> str | None:
    if not used:
        return "no complete pairs" if n == 0 else "all differences are zero"
    return reasons(
        {
            "fewer than 6 differences, or all equal: the Hodges-Lehmann interval is undefined": shift_interval is None,
            "fewer than 2 differences, or all equal: d_z is undefined": not sd,
        }
    )
