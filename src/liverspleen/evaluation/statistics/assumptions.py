"""Do the assumptions behind limits of agreement hold on the chosen scale? Tests, and advice by a stated rule."""

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
"""With fewer pairs these tests find only the grossest departures, and their silence says nothing."""

MOST_FOR_SHAPIRO: Final = 5000  # Royston 1995: the approximation of p ends here


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
    """Spearman's rank correlation, p by Student's t with n - 2 degrees of freedom."""

    rho: float
    p: float


@dataclass(frozen=True)
class ScaleChecks(Result):
    """The checks of one scale; a check is `None` below three pairs, at zero variance, or on an exact line.

    Shapiro-Wilk is `None` above 5000 pairs as well.
    """

    shapiro: ShapiroWilk | None
    proportional_bias: Regression | None
    abs_residual_regression: Regression | None
    spearman_absd_avg: RankCorrelation | None
    advice: tuple[str, ...]


def check_scale(sample: Differences, scale: Scale) -> ScaleChecks:
    """Normality, proportional bias and heteroscedasticity of paired differences, and what follows for the scale.

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
    """The rule: below ten pairs none; else one sentence for each check with p < 0.05, or one that none was found.

    The spread is that of the residuals: Spearman's correlation of the absolute differences stands beside it and does
    not count, since a bias that grows with size raises it too. A spread that grows asks for the percent or log scale,
    on these one that falls for the absolute. A check that is undefined is no check passed.
    """
    if n < FEWEST_FOR_ADVICE:
        return (f"fewer than {FEWEST_FOR_ADVICE} pairs: the checks cannot tell whether this scale fits",)
    found = []
    if spread_line is not None and spread_line.p < LEVEL:
        found.append(_SPREAD[scale == "absolute", spread_line.slope > 0])
    if bias_line is not None and bias_line.p < LEVEL:
        found.append("the bias changes with size: one mean difference does not describe all sizes")
    if shapiro is not None and shapiro.p < LEVEL:
        found.append("the differences are not normal: look for outliers and compare the nonparametric limits")
    if None in (shapiro, bias_line, spread_line):
        found.append("not every check is defined: no spread, an exact line, or too many pairs")
    return tuple(found) or ("no check speaks against this scale",)


_SPREAD: Final[dict[tuple[bool, bool], str]] = {
    (True, True): "the spread grows with size: use the percent or log scale",
    (True, False): "the spread falls with size: constant limits are too wide for large readings",
    (False, True): "the spread grows with size even on this scale: give limits for ranges of size",
    (False, False): "the relative spread falls with size: use the absolute scale",
}


def _shapiro(values: Floats) -> ShapiroWilk:
    from scipy.stats import shapiro

    # Centred: W does not change, and a large mean cannot cost digits.
    found = shapiro(values - values.mean())
    return ShapiroWilk(float(found.statistic), float(found.pvalue))


def _regression(x: Floats, y: Floats) -> Regression | None:
    """The line through `y` over `x`; None where `x` does not vary or the line is exact."""
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
