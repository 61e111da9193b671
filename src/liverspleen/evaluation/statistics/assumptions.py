"""Tests of the assumptions of limits of agreement on a scale, and advice by a stated rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from liverspleen.evaluation.statistics.differences import Differences, Scale
from liverspleen.evaluation.statistics.intervals import two_sided_t
from liverspleen.evaluation.statistics.samples import NOISE, Floats, Result

LEVEL: Final = 0.05
FEWEST_FOR_ADVICE: Final = 10
"""With fewer pairs these tests find only gross departures; without a finding they show nothing."""

MOST_FOR_SHAPIRO: Final = 5000  # Royston 1995: the approximation of the p value is valid up to here


@dataclass(frozen=True)
class ShapiroWilk(Result):
    """Shapiro-Wilk test of normality."""

    W: float
    p: float


@dataclass(frozen=True)
class Regression(Result):
    """Least-squares line over the mean of the two readings; `t` and `p` belong to the slope (df n - 2)."""

    intercept: float
    slope: float
    slope_se: float
    t: float
    p: float


@dataclass(frozen=True)
class RankCorrelation(Result):
    """Spearman's rank correlation, with the p value of Student's t with n - 2 degrees of freedom."""

    rho: float
    p: float


@dataclass(frozen=True)
class ScaleChecks(Result):
    """The checks of one scale; a check is `None` below three pairs, at zero variance, or for pairs on an exact line.

    Shapiro-Wilk is also `None` above 5000 pairs.
    """

    shapiro: ShapiroWilk | None
    proportional_bias: Regression | None
    abs_residual_regression: Regression | None
    spearman_absd_avg: RankCorrelation | None
    advice: tuple[str, ...]


def check_scale(sample: Differences, scale: Scale) -> ScaleChecks:
    """Check paired differences for normality, proportional bias and heteroscedasticity, with advice on the scale.

    Normality: Shapiro-Wilk of the differences. Proportional bias: differences regressed on the averages of the two
    readings. Heteroscedasticity: absolute residuals of that line regressed on the averages (Bland and Altman 1999), and
    Spearman's correlation of absolute differences with averages. The advice follows from p < 0.05 of these, see
    `_advice`.
    """
    shapiro = bias_line = spread_line = correlation = None
    averages = sample.averages
    if sample.n > 2 and sample.sd:
        shapiro = _shapiro(sample.values) if sample.n <= MOST_FOR_SHAPIRO else None
        bias_line = _regression(averages, sample.values)
        if bias_line is not None:
            residuals = sample.values - bias_line.intercept - bias_line.slope * averages
            spread_line = _regression(averages, np.abs(residuals))
        correlation = _spearman(np.abs(sample.values), averages)
    advice = _advice(scale, sample.n, shapiro, bias_line, spread_line)
    return ScaleChecks(shapiro, bias_line, spread_line, correlation, advice)


def _advice(
    scale: Scale, n: int, shapiro: ShapiroWilk | None, bias_line: Regression | None, spread_line: Regression | None
) -> tuple[str, ...]:
    """Return one sentence for each test with p < 0.05, or one that there is none; no advice below ten pairs.

    The spread is that of the residuals. Spearman's correlation of the absolute differences is reported, but gives no
    advice, since a bias that grows with size raises it too. If the spread grows, the advice is the percent or log
    scale; if it falls on one of these, the absolute scale. An undefined test does not count as passed.
    """
    if n < FEWEST_FOR_ADVICE:
        return (f"fewer than {FEWEST_FOR_ADVICE} pairs: the tests cannot show whether this scale is suitable",)
    found = []
    if spread_line is not None and spread_line.p < LEVEL:
        found.append(_SPREAD[scale == "absolute", spread_line.slope > 0])
    if bias_line is not None and bias_line.p < LEVEL:
        found.append("the bias changes with size: one mean difference does not describe all sizes")
    if shapiro is not None and shapiro.p < LEVEL:
        found.append("the differences are not normal: look for outliers")
    if None in (shapiro, bias_line, spread_line):
        found.append("some tests are undefined: no variance, an exact line, too few or too many pairs")
    return tuple(found) or ("no test argues against this scale",)


_SPREAD: Final[dict[tuple[bool, bool], str]] = {
    (True, True): "the spread grows with size: use the percent or log scale",
    (True, False): "the spread falls with size: constant limits are too wide for large readings",
    (False, True): "the spread grows with size even on this scale: give limits for ranges of size",
    (False, False): "the relative spread falls with size: use the absolute scale",
}


def _shapiro(values: Floats) -> ShapiroWilk:
    from scipy.stats import shapiro

    # Centred: W does not change, and a large mean loses no digits.
    found = shapiro(values - values.mean())
    return ShapiroWilk(float(found.statistic), float(found.pvalue))


def _regression(x: Floats, y: Floats) -> Regression | None:
    """Return the regression line of `y` on `x`; None if `x` does not vary or the line is exact."""
    n = x.size
    if float(np.ptp(x)) <= NOISE * float(np.abs(x).max()):
        return None
    centred = x - x.mean()
    sxx = float(centred @ centred)
    slope = float(centred @ y) / sxx
    intercept = float(y.mean()) - slope * float(x.mean())
    residuals = y - y.mean() - slope * centred
    variance = float(residuals @ residuals) / (n - 2)
    if math.sqrt(variance) <= NOISE * float(np.abs(y).max()):
        return None
    se = math.sqrt(variance / sxx)
    return Regression(intercept, slope, se, slope / se, two_sided_t(slope / se, n - 2))


def _spearman(x: Floats, y: Floats) -> RankCorrelation | None:
    from scipy.stats import rankdata

    first, second = (rankdata(values) - (values.size + 1) / 2 for values in (x, y))
    spread = math.sqrt(float(first @ first) * float(second @ second))
    if spread == 0:
        return None
    rho = float(first @ second) / spread
    df = x.size - 2
    unexplained = 1 - rho * rho
    p = two_sided_t(rho * math.sqrt(df / unexplained), df) if unexplained > NOISE else 0.0
    return RankCorrelation(rho, p)
