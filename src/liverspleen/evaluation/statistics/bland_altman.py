"""Bland-Altman analysis of two readers on the same cases: bias and limits of agreement, with intervals and checks."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.assumptions import ScaleChecks, check_scale
from liverspleen.evaluation.statistics.clustered import Clustered, cluster_codes, clustered, clustered_intervals
from liverspleen.evaluation.statistics.differences import DEFINITIONS, UNITS, Differences, Scale, paired_differences
from liverspleen.evaluation.statistics.intervals import (
    CONFIDENCE,
    LOA_MULTIPLIER,
    AgreementIntervals,
    Interval,
    agreement_intervals,
    content_of,
    two_sided_t,
)
from liverspleen.evaluation.statistics.samples import Result, raw

LARGEST_LOG: Final = 700.0  # exp of a larger number overflows float64


@dataclass(frozen=True)
class Limits(Result):
    """The limits of agreement, bias ± `half_width`, with half_width = multiplier × SD.

    `n_inside` is the number of differences within the limits. `nonparametric` are the quantiles of the differences with
    the same content (2.5 % and 97.5 % at a multiplier of 1.96; R's type 7).
    """

    lower: float
    upper: float
    half_width: float
    n_inside: int
    nonparametric: Interval


@dataclass(frozen=True)
class BiasTest(Result):
    """One-sample t-test of the differences against zero, with `df` degrees of freedom, and its effect sizes.

    With several pairs in a cluster it is the t-test of the means of the clusters.

    `cohen_dz` is bias / SD; `hedges_gz` is corrected for the small-sample bias, and None for two pairs.
    """

    t: float
    df: int
    p: float
    cohen_dz: float
    hedges_gz: float | None


@dataclass(frozen=True)
class RatioLimits(Result):
    """Results of the log scale as ratios test / reference: geometric mean and limits, which are asymmetric around it.

    An interval is None if a bound overflows float64.
    """

    geometric_mean_ratio: float
    geometric_mean_ratio_ci: Interval | None
    loa: Interval | None


@dataclass(frozen=True)
class BlandAltman(Result):
    """Bias and limits of agreement, in `units` of the differences; None if undefined.

    `n_dropped` = `n_missing` (a reading is NaN) + `n_undefined` (no difference on this scale). `limits` need two pairs,
    `bias_test` and `intervals` a positive SD. `ratio` is given on the log scale only. `clustered` are the components of
    the SD if a cluster has several pairs, else None. `positions`, `averages` and `differences` are those of the `n`
    pairs, for figures.
    """

    scale: Scale
    units: str
    n: int
    n_dropped: int
    n_missing: int
    n_undefined: int
    bias: float | None
    sd: float | None
    limits: Limits | None
    bias_test: BiasTest | None
    intervals: AgreementIntervals | None
    ratio: RatioLimits | None
    clustered: Clustered | None
    checks: ScaleChecks
    multiplier: float
    confidence: float
    method: str
    reason: str | None
    positions: tuple[int, ...] = raw()
    averages: tuple[float, ...] = raw()
    differences: tuple[float, ...] = raw()


def bland_altman(
    test: ArrayLike,
    reference: ArrayLike,
    *,
    scale: Scale = "absolute",
    multiplier: float = LOA_MULTIPLIER,
    confidence: float = CONFIDENCE,
    clusters: Sequence[Hashable] | None = None,
) -> BlandAltman:
    """Compute bias, SD and limits of agreement of `test` and `reference` (n values each, paired by position).

    A difference is test minus reference; on the percent scale it is divided by the mean of the two, which is undefined
    for a pair of zeros; on the log scale it is ln(test / reference), undefined unless both are positive. The SD has
    n - 1 degrees of freedom, the limits are bias ± `multiplier` × SD, and the p value of the bias is that of the
    two-sided one-sample t-test. All intervals have this `confidence`. Pairs with NaN are dropped and counted. With one
    pair the bias is its difference; SD, limits and t are undefined. At zero variance the SD is exactly 0, the limits
    equal the bias, and p value and intervals are undefined. The checks need three pairs.

    `clusters` gives the cluster of each pair (the patient of a CT). If a cluster has several pairs, the bias is the
    mean of the means of the clusters, and the SD that of a single pair of a new cluster, from the variances between and
    within clusters (`clustered`); the t-test and the interval of the bias have clusters - 1 degrees of freedom, and the
    limits have intervals by MOVER only. The checks still treat the pairs as independent.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, contain an infinity, the scale is unknown, the
            multiplier is not positive and finite, the confidence is not between 0 and 1, or a cluster is missing.

    Source: Bland and Altman, Lancet 1986;327:307-310 and Stat Methods Med Res 1999;8:135-160; percent scale as in
    Figure 4 of Ahn et al. 2020; intervals and their coverage: docs/statistics.md.

    >>> result = bland_altman([101.0, 99.0, 103.0], [100.0, 100.0, 100.0])
    >>> result.bias, result.sd, round(result.limits.upper, 2)
    (1.0, 2.0, 4.92)
    >>> [round(bound, 2) for bound in result.intervals.exact_pair.loa_upper_ci]
    [3.21, 28.88]
    """
    if not (math.isfinite(multiplier) and multiplier > 0):
        raise ValueError(f"multiplier {multiplier} is not positive and finite")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    sample = paired_differences(test, reference, scale=scale)
    found, one_cluster = None, False
    if (codes := cluster_codes(clusters, sample.pairs.positions, sample.n_given)) is not None:
        found = clustered(sample.values, codes, sample.magnitude)
        one_cluster = found is None
        sample = replace(sample, sd=None) if found is None else replace(sample, mean=found.mean, sd=found.sd)
    bias, sd, n = sample.mean, sample.sd, sample.n
    intervals = None
    if bias is not None and sd and (found is None or found.standard_error):
        shape = {"multiplier": multiplier, "confidence": confidence}
        intervals = agreement_intervals(bias, sd, n, **shape) if found is None else clustered_intervals(found, **shape)
    limits = _limits(sample, multiplier)
    return BlandAltman(
        scale=scale,
        units=UNITS[scale],
        n=n,
        n_dropped=sample.pairs.n_missing + sample.n_undefined,
        n_missing=sample.pairs.n_missing,
        n_undefined=sample.n_undefined,
        bias=bias,
        sd=sd,
        limits=limits,
        bias_test=_bias_test(sample, found),
        intervals=intervals,
        ratio=_ratio(bias, limits, intervals) if scale == "log" else None,
        clustered=found,
        checks=check_scale(sample, scale),
        multiplier=multiplier,
        confidence=confidence,
        method=_method(scale, multiplier, found),
        reason=_cluster_reason(found, one_cluster=one_cluster) or _reason(n, sd),
        positions=tuple(sample.pairs.positions.tolist()),
        averages=tuple(sample.averages.tolist()),
        differences=tuple(sample.values.tolist()),
    )


def _limits(sample: Differences, multiplier: float) -> Limits | None:
    if sample.mean is None or sample.sd is None:
        return None
    half = multiplier * sample.sd
    within = np.abs(sample.values - sample.mean) <= half
    percent = 50 * content_of(multiplier)
    low, high = np.percentile(sample.values, [50 - percent, 50 + percent], method="linear")  # R's type 7
    return Limits(
        lower=sample.mean - half,
        upper=sample.mean + half,
        half_width=half,
        n_inside=int(within.sum()) if half else sample.n,
        nonparametric=Interval(float(low), float(high)),
    )


def _method(scale: Scale, multiplier: float, found: Clustered | None) -> str:
    if found is None:
        sd, test = "SD with n - 1", "two-sided one-sample t-test"
    else:
        sd = "bias by patient, SD from the variances between and within patients (Zou 2013)"
        test = "two-sided one-sample t-test of the means of the patients"
    return f"Bland-Altman on {DEFINITIONS[scale]}; {sd}; limits bias ± {multiplier} SD; p value: {test}"


def _bias_test(sample: Differences, found: Clustered | None) -> BiasTest | None:
    mean, sd = sample.mean, sample.sd
    if mean is None or not sd:
        return None
    error, df = (sd / math.sqrt(sample.n), sample.n - 1) if found is None else (found.standard_error, found.df)
    if not error:  # the means of all clusters are equal
        return None
    t = mean / error
    return BiasTest(
        t=t,
        df=df,
        p=two_sided_t(t, df),
        cohen_dz=mean / sd,
        hedges_gz=_hedges_correction(df) * mean / sd if df > 1 else None,
    )


def _ratio(bias: float | None, limits: Limits | None, intervals: AgreementIntervals | None) -> RatioLimits | None:
    if bias is None:
        return None
    return RatioLimits(
        math.exp(bias),
        geometric_mean_ratio_ci=None if intervals is None else _exponential(intervals.bias_ci),
        loa=None if limits is None else _exponential(Interval(limits.lower, limits.upper)),
    )


def _exponential(interval: Interval) -> Interval | None:
    """Return the exponential of both bounds; None if one overflows float64."""
    if max(map(abs, interval)) > LARGEST_LOG:
        return None
    return Interval(math.exp(interval.lower), math.exp(interval.upper))


def _hedges_correction(df: int) -> float:
    """Return the factor that removes the small-sample bias of a standardised mean (Hedges, J Educ Stat 1981;6:107)."""
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def _cluster_reason(found: Clustered | None, *, one_cluster: bool) -> str | None:
    if one_cluster:
        return "all pairs are of 1 patient: SD, limits and t are undefined"
    if found is not None and found.sd and not found.standard_error:
        return "the mean differences of all patients are equal: t, p value and intervals are undefined"
    return None


def _reason(n: int, sd: float | None) -> str | None:
    if n == 0:
        return "no complete pairs"
    if sd is None:
        return "only 1 pair: SD, limits and t are undefined"
    if sd == 0:
        return "all differences are equal: t, p value and intervals are undefined"
    return "only 2 pairs: checks and Hedges' g are undefined" if n == 2 else None
