"""Agreement of two readers on the same cases: bias and 95 % limits of agreement, with intervals and checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.assumptions import RankCorrelation, Regression, ShapiroWilk, check_scale
from liverspleen.evaluation.statistics.differences import DEFINITIONS, UNITS, Differences, Scale, paired_differences
from liverspleen.evaluation.statistics.intervals import (
    CONFIDENCE,
    MULTIPLIER,
    Interval,
    LimitIntervals,
    ba1986_intervals,
    ba1999_intervals,
    exact_factors,
    exact_intervals,
    exact_pair_factors,
    exact_pair_intervals,
    mean_interval,
    mover_intervals,
    sd_interval,
    tolerance_factor,
    two_sided_t,
)
from liverspleen.evaluation.statistics.samples import Result, raw

LARGEST_LOG: Final = 700.0  # exp of more is no float64


@dataclass(frozen=True)
class RatioLimits(Result):
    """Back from the log scale: test / reference, its geometric mean and its limits, which are asymmetric around it."""

    geometric_mean_ratio: float
    gmr_ci: Interval | None
    ratio_loa: Interval | None


@dataclass(frozen=True)
class BlandAltman(Result):
    """Bias and limits of agreement; in `units` of the differences, `None` where undefined.

    `n_dropped` = `n_missing` (a reading is NaN) + `n_undefined` (no difference on this scale). The `loa_ci_*` are
    intervals of the two limits by five methods; `exact_factors` and `exact_pair_factors` are the multiples of the SD
    behind two of them; `tolerance_interval` holds 95 % of the population with 95 % confidence. `ratio` is given on the
    log scale only. `positions`, `averages` and `differences` hold the pairs that entered, for figures.
    """

    scale: Scale
    units: str
    n: int
    n_dropped: int
    n_missing: int
    n_undefined: int
    bias: float | None
    sd: float | None
    half_width: float | None
    loa_lower: float | None
    loa_upper: float | None
    multiplier: float
    confidence: float
    t: float | None
    df: int | None
    p_bias: float | None
    bias_ci: Interval | None
    sd_ci_chisq: Interval | None
    loa_ci_ba1999: LimitIntervals | None
    loa_ci_ba1986: LimitIntervals | None
    loa_ci_exact: LimitIntervals | None
    loa_ci_exact_pair: LimitIntervals | None
    loa_ci_mover: LimitIntervals | None
    exact_factors: Interval | None
    exact_pair_factors: Interval | None
    tolerance_interval: Interval | None
    nonparam_limits: Interval | None
    inside_loa: int | None
    ratio: RatioLimits | None
    cohen_dz: float | None
    hedges_gz: float | None
    shapiro: ShapiroWilk | None
    proportional_bias: Regression | None
    abs_residual_regression: Regression | None
    spearman_absd_avg: RankCorrelation | None
    advice: tuple[str, ...]
    method: str
    reason: str | None
    positions: tuple[int, ...] = raw()
    averages: tuple[float, ...] = raw()
    differences: tuple[float, ...] = raw()


def bland_altman(test: ArrayLike, reference: ArrayLike, *, scale: Scale = "absolute") -> BlandAltman:
    """Bias, SD and 95 % limits of agreement of `test` against `reference` (n values each, paired by position).

    A difference is test minus reference; on the percent scale it is divided by the mean of the two, which is undefined
    for a pair of zeros; on the log scale it is ln(test / reference), undefined unless both are positive. SD with
    n - 1, limits at bias ± 1.96 SD, p of the bias by the two-sided one-sample t-test. Pairs with NaN are dropped and
    counted. With one pair the bias is its difference, SD, limits and t are undefined; at zero variance the SD is
    exactly 0, the limits equal the bias, and p and all intervals are undefined. The checks need three pairs.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, hold an infinity, or the scale is unknown.

    Source: Bland and Altman, Lancet 1986;327:307-310 and Stat Methods Med Res 1999;8:135-160; percent scale as in
    Figure 4 of Ahn et al. 2020; intervals and their coverage: docs/statistics.md.

    >>> result = bland_altman([101.0, 99.0, 103.0], [100.0, 100.0, 100.0])
    >>> result.bias, result.sd, round(result.loa_upper, 2)
    (1.0, 2.0, 4.92)
    >>> [round(bound, 2) for bound in result.loa_ci_exact_pair.upper]
    [3.21, 28.88]
    """
    sample = paired_differences(test, reference, scale=scale)
    bias, sd = sample.mean, sample.sd
    checks = check_scale(sample, scale)
    spread = _spread(sample)
    return BlandAltman(
        scale=scale,
        units=UNITS[scale],
        n=sample.n,
        n_dropped=sample.pairs.n_missing + sample.n_undefined,
        n_missing=sample.pairs.n_missing,
        n_undefined=sample.n_undefined,
        bias=bias,
        sd=sd,
        multiplier=MULTIPLIER,
        confidence=CONFIDENCE,
        df=sample.n - 1 if sample.n > 1 else None,
        **_limits(sample),
        **(spread or dict.fromkeys(_NEEDS_SPREAD)),
        ratio=_ratio(bias, sd, spread["bias_ci"] if spread else None) if scale == "log" else None,
        shapiro=checks.shapiro,
        proportional_bias=checks.proportional_bias,
        abs_residual_regression=checks.abs_residual_regression,
        spearman_absd_avg=checks.spearman_absd_avg,
        advice=checks.advice,
        method=f"Bland-Altman on {DEFINITIONS[scale]}; SD with n - 1; limits bias ± {MULTIPLIER} SD; "
        "p: two-sided one-sample t-test",
        reason=_reason(sample.n, sd),
        positions=tuple(sample.pairs.positions.tolist()),
        averages=tuple(sample.averages.tolist()),
        differences=tuple(sample.values.tolist()),
    )


def _limits(sample: Differences) -> dict[str, Any]:
    """What is defined as soon as there is an SD, be it zero."""
    if sample.mean is None or sample.sd is None:
        return dict.fromkeys(("half_width", "loa_lower", "loa_upper", "inside_loa", "nonparam_limits"))
    half = MULTIPLIER * sample.sd
    within = np.abs(sample.values - sample.mean) <= half
    quantiles = np.quantile(sample.values, [0.025, 0.975], method="linear")  # R's type 7
    return {
        "half_width": half,
        "loa_lower": sample.mean - half,
        "loa_upper": sample.mean + half,
        "inside_loa": int(within.sum()) if half else sample.n,
        "nonparam_limits": (float(quantiles[0]), float(quantiles[1])),
    }


_NEEDS_SPREAD = (
    *("t", "p_bias", "bias_ci", "sd_ci_chisq", "loa_ci_ba1999", "loa_ci_ba1986", "loa_ci_exact", "loa_ci_exact_pair"),
    *("loa_ci_mover", "exact_factors", "exact_pair_factors", "tolerance_interval", "cohen_dz", "hedges_gz"),
)


def _spread(sample: Differences) -> dict[str, Any] | None:
    """What needs a positive SD, by the names of `_NEEDS_SPREAD`; None without one."""
    n, mean, sd = sample.n, sample.mean, sample.sd
    if mean is None or not sd:
        return None
    t = mean / (sd / math.sqrt(n))
    tolerance = tolerance_factor(n, CONFIDENCE) * sd
    return {
        "t": t,
        "p_bias": two_sided_t(t, n - 1),
        "bias_ci": mean_interval(mean, sd, n),
        "sd_ci_chisq": sd_interval(sd, n - 1),
        "loa_ci_ba1999": ba1999_intervals(mean, sd, n),
        "loa_ci_ba1986": ba1986_intervals(mean, sd, n),
        "loa_ci_exact": exact_intervals(mean, sd, n),
        "loa_ci_exact_pair": exact_pair_intervals(mean, sd, n),
        "loa_ci_mover": mover_intervals(mean, sd, n),
        "exact_factors": exact_factors(n),
        "exact_pair_factors": exact_pair_factors(n),
        "tolerance_interval": (mean - tolerance, mean + tolerance),
        "cohen_dz": mean / sd,
        "hedges_gz": _hedges_correction(n - 1) * mean / sd if n > 2 else None,
    }


def _ratio(bias: float | None, sd: float | None, bias_ci: Interval | None) -> RatioLimits | None:
    if bias is None:
        return None
    loa = None if sd is None else (bias - MULTIPLIER * sd, bias + MULTIPLIER * sd)
    return RatioLimits(math.exp(bias), gmr_ci=_exponential(bias_ci), ratio_loa=_exponential(loa))


def _exponential(interval: Interval | None) -> Interval | None:
    """Back from logarithms; None where a bound is no float64."""
    if interval is None or max(map(abs, interval)) > LARGEST_LOG:
        return None
    return math.exp(interval[0]), math.exp(interval[1])


def _hedges_correction(df: int) -> float:
    """The factor that takes the small-sample bias from a standardised mean, by Γ (Hedges, J Educ Stat 1981;6:107)."""
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def _reason(n: int, sd: float | None) -> str | None:
    if n == 0:
        return "no complete pair"
    if sd is None:
        return "one pair has no SD, limits or t"
    if sd == 0:
        return "zero variance: t, p and intervals are undefined"
    return "two pairs: no checks and no Hedges' g" if n == 2 else None
