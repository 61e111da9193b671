"""Confidence intervals of a mean, of an SD, and of limits of agreement by five methods.

All methods assume that differences are independent and normal. The limits of agreement are mean ± multiplier × SD. A
confidence interval of a limit contains the limit of the population with the stated confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from liverspleen.evaluation.statistics.samples import Result

LOA_MULTIPLIER: Final = 1.96
"""Number of SDs from the mean to a limit of agreement: as printed by the paper, not the quantile 1.959964."""

CONFIDENCE: Final = 0.95
_LARGEST_LOG: Final = 700.0  # exp of a larger number overflows float64
CONTENT: Final = 0.95
"""Fraction of the population between limits of agreement with `LOA_MULTIPLIER`: Carkeet 2015."""


class Interval(NamedTuple):
    """The bounds of an interval.

    >>> lower, upper = Interval(1.0, 2.0)
    >>> Interval(1.0, 2.0).scaled(10.0)
    Interval(lower=10.0, upper=20.0)
    """

    lower: float
    upper: float

    def scaled(self, factor: float) -> Interval:
        """Return both bounds times a positive factor."""
        return Interval(self.lower * factor, self.upper * factor)


@dataclass(frozen=True)
class LimitIntervals(Result):
    """The confidence intervals of the lower and of the upper limit of agreement."""

    loa_lower_ci: Interval
    loa_upper_ci: Interval


@dataclass(frozen=True)
class AgreementIntervals(Result):
    """Confidence intervals of a bias, of an SD, and of the limits of agreement by five methods.

    `exact_factors` and `exact_pair_factors` are the multiples of the SD in `exact` and `exact_pair`. The tolerance
    interval contains `content_of(multiplier)` of the population (95 % at 1.96) with the stated confidence. With several
    observations for a patient only the intervals of bias and SD and `mover` are defined; the others are None.
    """

    bias_ci: Interval
    sd_ci: Interval
    ba1999: LimitIntervals | None
    ba1986: LimitIntervals | None
    exact: LimitIntervals | None
    exact_pair: LimitIntervals | None
    mover: LimitIntervals
    exact_factors: Interval | None
    exact_pair_factors: Interval | None
    tolerance_interval: Interval | None


def agreement_intervals(mean: float, sd: float, n: int, *, multiplier: float, confidence: float) -> AgreementIntervals:
    """Compute all intervals of `n` ≥ 2 differences with this mean and positive SD."""
    one, both = exact_factors(n, multiplier, confidence), exact_pair_factors(n, multiplier, confidence)
    tolerance = tolerance_factor(n, confidence, content_of(multiplier)) * sd
    return AgreementIntervals(
        bias_ci=mean_interval(mean, sd, n, confidence=confidence),
        sd_ci=sd_interval(sd, n - 1, confidence=confidence),
        ba1999=_around_limits(mean, sd, n, math.sqrt(1 / n + multiplier**2 / (2 * (n - 1))), multiplier, confidence),
        ba1986=_around_limits(mean, sd, n, math.sqrt(3 / n), multiplier, confidence),
        exact=_by_factors(mean, sd, one),
        exact_pair=_by_factors(mean, sd, both),
        mover=_mover_intervals(mean, sd, n, multiplier, confidence),
        exact_factors=one,
        exact_pair_factors=both,
        tolerance_interval=Interval(mean - tolerance, mean + tolerance),
    )


def content_of(multiplier: float) -> float:
    """Return the fraction of a normal population within mean ± multiplier × SD; exactly 0.95 for 1.96.

    >>> content_of(1.96), round(content_of(2.0), 4)
    (0.95, 0.9545)
    """
    return CONTENT if multiplier == LOA_MULTIPLIER else math.erf(multiplier / math.sqrt(2))


def mean_interval(mean: float, sd: float, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Student's t interval of a mean of `n` ≥ 2 values."""
    half = t_quantile((1 + confidence) / 2, n - 1) * sd / math.sqrt(n)
    return Interval(mean - half, mean + half)


def prediction_interval_of_mean(
    mean: float, sd: float, n: int, *, new: int, fraction: bool = False, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval that contains the mean of `new` further values with this confidence.

    mean ± t SD √(1/n + 1/new) with the quantile t of n - 1 degrees of freedom, for independent normal values. With
    `fraction`, for values in [0, 1] such as the DSS, it is cut at 0 and 1, beyond which no mean can be.

    Args:
        mean: mean of the observed values.
        sd: their sample SD (n - 1).
        n: their number, at least 2.
        new: number of further values.
        fraction: whether the values are in [0, 1].
        confidence: of the interval.

    Source: Hahn and Meeker, Statistical Intervals, Wiley 1991, chapter 4.

    >>> [round(bound, 4) for bound in prediction_interval_of_mean(0.9, 0.05, 12, new=6)]
    [0.845, 0.955]
    """
    half = t_quantile((1 + confidence) / 2, n - 1) * sd * math.sqrt(1 / n + 1 / new)
    return Interval(max(0.0, mean - half), min(1.0, mean + half)) if fraction else Interval(mean - half, mean + half)


def logit_interval(mean: float, half: float) -> Interval:
    """Return the interval of a mean in (0, 1) with `half` on the scale of its logit, by the delta method; in [0, 1].

    >>> [round(bound, 4) for bound in logit_interval(0.5, 0.1)]
    [0.4013, 0.5987]
    """
    odds, factor = mean / (1 - mean), math.exp(min(half / (mean * (1 - mean)), _LARGEST_LOG))
    return Interval(odds / (odds + factor), odds / (odds + 1 / factor))


def sd_interval(sd: float, df: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return the χ² interval of an SD with `df` degrees of freedom, or of a CV or an RC, which are multiples of an SD.

    >>> [round(bound, 4) for bound in sd_interval(1.0, 14)]
    [0.7321, 1.5771]
    """
    low, high = chi_square_factors(df, confidence)
    return Interval(sd * math.sqrt(low), sd * math.sqrt(high))


def chi_square_factors(df: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the multiples of a variance with `df` degrees of freedom that bound it: df / χ² of both tails."""
    from scipy.special import chdtri

    tail = (1 - confidence) / 2  # chdtri takes the upper tail
    return Interval(df / float(chdtri(df, tail)), df / float(chdtri(df, 1 - tail)))


@lru_cache(maxsize=4096)
def exact_factors(n: int, multiplier: float = LOA_MULTIPLIER, confidence: float = CONFIDENCE) -> Interval:
    """Return the g of mean ± g SD that bound one limit of agreement: quantiles of noncentral t over √n, for `n` ≥ 2.

    Source: Carkeet, Optom Vis Sci 2015;92:e71-e80.

    >>> [round(factor, 4) for factor in exact_factors(15)]
    [1.2816, 3.2683]
    """
    root, tail = math.sqrt(n), (1 - confidence) / 2
    inner, outer = (noncentral_t_quantile(p, n - 1, multiplier * root) / root for p in (tail, 1 - tail))
    return Interval(inner, outer)


@lru_cache(maxsize=4096)
def exact_pair_factors(n: int, multiplier: float = LOA_MULTIPLIER, confidence: float = CONFIDENCE) -> Interval:
    """Return the two-sided tolerance factors that bound both limits of agreement together, for `n` ≥ 2.

    The content is that of the multiplier (95 % at 1.96); at a confidence of 95 % the factors have the confidences
    2.5 % and 97.5 %.

    Source: Carkeet, Optom Vis Sci 2015;92:e71-e80.

    >>> [round(factor, 4) for factor in exact_pair_factors(15)]
    [1.468, 3.2069]
    """
    content, tail = content_of(multiplier), (1 - confidence) / 2
    return Interval(tolerance_factor(n, tail, content), tolerance_factor(n, 1 - tail, content))


@lru_cache(maxsize=4096)
def tolerance_factor(n: int, confidence: float, content: float = CONTENT) -> float:
    """Return k so that mean ± k SD of `n` ≥ 2 normal values contains ≥ `content` of the population with `confidence`.

    Given the error e of the mean, the content is reached if k SD = r(e) with Φ(e + r) - Φ(e - r) = content; the
    confidence is the mean over e of P(χ² ≥ (n - 1) r² / k²), by Gauss-Legendre quadrature.

    Source: Wald and Wolfowitz, Ann Math Stat 1946;17:208-215, without their approximation.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtrc, chdtri, ndtri

    nodes, weights = np.polynomial.legendre.leggauss(64)
    reach = 8.5  # beyond it the normal density is below 1e-16
    standardised = (nodes + 1) / 2 * reach
    weights = weights * reach * np.exp(-(standardised**2) / 2) / math.sqrt(2 * math.pi)
    radii = _content_radii(standardised / math.sqrt(n), content)

    def excess(log_factor: float) -> float:
        return float(weights @ chdtrc(n - 1, (n - 1) * radii**2 * math.exp(-2 * log_factor))) - confidence

    # Howe 1969: a close approximation; the root is well within a factor of e^1.5 of it.
    howe = float(ndtri((1 + content) / 2)) * math.sqrt((n - 1) * (1 + 1 / n) / float(chdtri(n - 1, confidence)))
    return math.exp(brentq(excess, math.log(howe) - 1.5, math.log(howe) + 1.5, xtol=1e-13))


def t_quantile(probability: float, df: float) -> float:
    """Return the quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def noncentral_t_quantile(probability: float, df: int, noncentrality: float) -> float:
    """Return the quantile of the noncentral t distribution."""
    from scipy.optimize import brentq
    from scipy.special import nctdtr
    from scipy.stats import nct

    quantile = float(nct.ppf(probability, df, noncentrality))
    if math.isnan(quantile):  # the search of SciPy fails at some values, as at 2.5 % for df 2976 to 2987
        reach = 10 * math.sqrt(1 + noncentrality**2 / (2 * df))  # ten approximate SD
        quantile = brentq(
            lambda t: float(nctdtr(df, noncentrality, t)) - probability,
            noncentrality - reach,
            noncentrality + reach,
            xtol=1e-12,
        )
    return quantile


def two_sided_t(t: float, df: float) -> float:
    """Return the two-sided p value of `t`."""
    from scipy.special import stdtr

    return float(2 * stdtr(df, -abs(t)))


def _content_radii(errors: np.ndarray, content: float) -> np.ndarray:
    """Return r with Φ(e + r) - Φ(e - r) = content for each e ≥ 0, by Newton's method from above."""
    from scipy.special import ndtr, ndtri

    radii = errors + ndtri((1 + content) / 2)
    for _ in range(50):
        density = np.exp(-((errors + radii) ** 2) / 2) + np.exp(-((errors - radii) ** 2) / 2)
        step = (ndtr(errors + radii) - ndtr(errors - radii) - content) * math.sqrt(2 * math.pi) / density
        radii = radii - step
        if np.abs(step).max() < 1e-14:
            break
    return radii


def _around_limits(
    mean: float, sd: float, n: int, standard_errors: float, multiplier: float, confidence: float
) -> LimitIntervals:
    """Return limit ± t × `standard_errors` × SD for both limits.

    The standard errors are √(1/n + multiplier²/(2(n - 1))) (Bland and Altman, Stat Methods Med Res 1999;8:135-160) or
    √(3/n) (Bland and Altman, Lancet 1986;327:307-310); both are approximate.
    """
    half = t_quantile((1 + confidence) / 2, n - 1) * standard_errors * sd
    low, high = mean - multiplier * sd, mean + multiplier * sd
    return LimitIntervals(Interval(low - half, low + half), Interval(high - half, high + half))


def _by_factors(mean: float, sd: float, factors: Interval) -> LimitIntervals:
    inner, outer = factors.scaled(sd)
    return LimitIntervals(Interval(mean - outer, mean - inner), Interval(mean + inner, mean + outer))


def _mover_intervals(mean: float, sd: float, n: int, multiplier: float, confidence: float) -> LimitIntervals:
    """Combine the intervals of the mean (t) and of the SD (χ²) by MOVER (Donner and Zou, SMMR 2012;21:347-359)."""
    to_mean = mean_interval(mean, sd, n, confidence=confidence).upper - mean
    sd_lower, sd_upper = sd_interval(sd, n - 1, confidence=confidence)
    inward = math.hypot(to_mean, multiplier * (sd - sd_lower))
    outward = math.hypot(to_mean, multiplier * (sd_upper - sd))
    low, high = mean - multiplier * sd, mean + multiplier * sd
    return LimitIntervals(Interval(low - outward, low + inward), Interval(high - inward, high + outward))
