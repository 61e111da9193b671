"""Confidence intervals of a mean, of an SD, and of limits of agreement by five methods.

All are 95 % and take differences for independent and normal. The limits of agreement are mean ± 1.96 SD; an interval of
a limit says where the mean ± 1.96 SD of the population may lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from liverspleen.evaluation.statistics.samples import Result

MULTIPLIER: Final = 1.96  # as printed by the paper, not the quantile 1.959964
CONFIDENCE: Final = 0.95
CONTENT: Final = 0.95  # share of the population between the limits: Carkeet 2015

Interval = tuple[float, float]

_TAIL: Final = (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class LimitIntervals(Result):
    """The confidence intervals of the lower and of the upper limit of agreement."""

    lower: Interval
    upper: Interval


def mean_interval(mean: float, sd: float, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of a mean of `n` ≥ 2 values."""
    half = t_quantile((1 + confidence) / 2, n - 1) * sd / math.sqrt(n)
    return mean - half, mean + half


def sd_interval(sd: float, df: int) -> Interval:
    """χ² interval of an SD with `df` degrees of freedom; it scales, so it serves a CV or an RC as well.

    >>> [round(bound, 4) for bound in sd_interval(1.0, 14)]
    [0.7321, 1.5771]
    """
    from scipy.special import chdtri

    # chdtri takes the upper tail.
    return sd * math.sqrt(df / float(chdtri(df, _TAIL))), sd * math.sqrt(df / float(chdtri(df, 1 - _TAIL)))


def ba1999_intervals(mean: float, sd: float, n: int) -> LimitIntervals:
    """Limit ± t √(1/n + 1.96²/(2(n - 1))) SD: approximate (Bland and Altman, Stat Methods Med Res 1999;8:135-160)."""
    return _around_limits(mean, sd, n, math.sqrt(1 / n + MULTIPLIER**2 / (2 * (n - 1))))


def ba1986_intervals(mean: float, sd: float, n: int) -> LimitIntervals:
    """Limit ± t √(3/n) SD: approximate (Bland and Altman, Lancet 1986;327:307-310)."""
    return _around_limits(mean, sd, n, math.sqrt(3 / n))


def exact_intervals(mean: float, sd: float, n: int) -> LimitIntervals:
    """Mean ± factors of `exact_factors`, exact for either limit alone."""
    return _by_factors(mean, sd, exact_factors(n))


def exact_pair_intervals(mean: float, sd: float, n: int) -> LimitIntervals:
    """Mean ± factors of `exact_pair_factors`, exact for both limits taken together."""
    return _by_factors(mean, sd, exact_pair_factors(n))


def mover_intervals(mean: float, sd: float, n: int) -> LimitIntervals:
    """Intervals of the mean (t) and of 1.96 SD (χ²) joined by MOVER (Donner and Zou, SMMR 2012;21:347-359)."""
    to_mean = mean_interval(mean, sd, n)[1] - mean
    sd_lower, sd_upper = sd_interval(sd, n - 1)
    inward = math.hypot(to_mean, MULTIPLIER * (sd - sd_lower))
    outward = math.hypot(to_mean, MULTIPLIER * (sd_upper - sd))
    low, high = mean - MULTIPLIER * sd, mean + MULTIPLIER * sd
    return LimitIntervals(lower=(low - outward, low + inward), upper=(high - inward, high + outward))


@lru_cache(maxsize=4096)
def exact_factors(n: int) -> Interval:
    """Factors g of mean ± g SD that bound one limit of agreement: quantiles of noncentral t over √n, for `n` ≥ 2.

    Source: Carkeet, Optom Vis Sci 2015;92:e71-e80.

    >>> [round(factor, 4) for factor in exact_factors(15)]
    [1.2816, 3.2683]
    """
    from scipy.stats import nct

    root = math.sqrt(n)
    inner, outer = (float(nct.ppf(tail, n - 1, MULTIPLIER * root)) / root for tail in (_TAIL, 1 - _TAIL))
    return inner, outer


@lru_cache(maxsize=4096)
def exact_pair_factors(n: int) -> Interval:
    """Two-sided tolerance factors of 95 % content at confidence 2.5 % and 97.5 %, for `n` ≥ 2.

    Source: Carkeet, Optom Vis Sci 2015;92:e71-e80.

    >>> [round(factor, 4) for factor in exact_pair_factors(15)]
    [1.468, 3.2069]
    """
    return tolerance_factor(n, _TAIL), tolerance_factor(n, 1 - _TAIL)


@lru_cache(maxsize=4096)
def tolerance_factor(n: int, confidence: float) -> float:
    """The k for which mean ± k SD of `n` ≥ 2 normal values hold ≥ 95 % of the population with this confidence.

    Given the error e of the mean, the content is 95 % where k SD = r(e) with Φ(e + r) - Φ(e - r) = 0.95; the
    confidence is the mean over e of P(χ² ≥ (n - 1) r² / k²), by Gauss-Legendre quadrature.

    Source: Wald and Wolfowitz, Ann Math Stat 1946;17:208-215, without their approximation.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtrc, chdtri, ndtri

    nodes, weights = np.polynomial.legendre.leggauss(64)
    reach = 8.5  # beyond it the normal density is below 1e-16
    standardised = (nodes + 1) / 2 * reach
    weights = weights * reach * np.exp(-(standardised**2) / 2) / math.sqrt(2 * math.pi)
    radii = _content_radii(standardised / math.sqrt(n))

    def excess(log_factor: float) -> float:
        return float(weights @ chdtrc(n - 1, (n - 1) * radii**2 * math.exp(-2 * log_factor))) - confidence

    # Howe 1969: close everywhere; the root lies well within a factor of e^1.5 of it.
    howe = float(ndtri((1 + CONTENT) / 2)) * math.sqrt((n - 1) * (1 + 1 / n) / float(chdtri(n - 1, confidence)))
    return math.exp(brentq(excess, math.log(howe) - 1.5, math.log(howe) + 1.5, xtol=1e-13))


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def two_sided_t(t: float, df: float) -> float:
    """Two-sided p of `t`."""
    from scipy.special import stdtr

    return float(2 * stdtr(df, -abs(t)))


def _content_radii(errors: np.ndarray) -> np.ndarray:
    """R with Φ(e + r) - Φ(e - r) = 0.95 for each e ≥ 0, by Newton's method from above."""
    from scipy.special import ndtr, ndtri

    radii = errors + ndtri((1 + CONTENT) / 2)
    for _ in range(50):
        density = np.exp(-((errors + radii) ** 2) / 2) + np.exp(-((errors - radii) ** 2) / 2)
        step = (ndtr(errors + radii) - ndtr(errors - radii) - CONTENT) * math.sqrt(2 * math.pi) / density
        radii = radii - step
        if np.abs(step).max() < 1e-14:
            break
    return radii


def _around_limits(mean: float, sd: float, n: int, standard_errors: float) -> LimitIntervals:
    half = t_quantile(1 - _TAIL, n - 1) * standard_errors * sd
    low, high = mean - MULTIPLIER * sd, mean + MULTIPLIER * sd
    return LimitIntervals(lower=(low - half, low + half), upper=(high - half, high + half))


def _by_factors(mean: float, sd: float, factors: Interval) -> LimitIntervals:
    inner, outer = factors[0] * sd, factors[1] * sd
    return LimitIntervals(lower=(mean - outer, mean - inner), upper=(mean + inner, mean + outer))
