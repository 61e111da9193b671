"""Regression of the differences of two readers on size, valid also if the spread changes with size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.differences import DEFINITIONS, UNITS, Differences, Scale, paired_differences
from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval
from liverspleen.evaluation.statistics.samples import NOISE, Floats, Result


@dataclass(frozen=True)
class ProportionalBias(Result):
    """Slope of the differences on the averages of both readings, with HC3 standard error; None if undefined.

    `slope` is in `units` of the differences per unit of the readings; `t` and `p` have n - 2 degrees of freedom.
    """

    scale: Scale
    units: str
    n: int
    n_dropped: int
    intercept: float | None
    slope: float | None
    slope_se: float | None
    slope_ci: Interval | None
    t: float | None
    df: int | None
    p: float | None
    confidence: float
    method: str
    reason: str | None


def proportional_bias(
    test: ArrayLike, reference: ArrayLike, *, scale: Scale = "absolute", confidence: float = CONFIDENCE
) -> ProportionalBias:
    """Compute the slope of the differences of `bland_altman` on the averages, with heteroscedasticity-consistent SE.

    `bland_altman(...).checks.proportional_bias` has the same slope with the classical standard error, which assumes
    the same spread at all sizes. HC3 does not: it weights each squared residual by 1 / (1 - leverage)². Use it if the
    checks report a spread that changes with size. Pairs with NaN, or without a difference on the scale,
    are dropped and counted. Undefined with fewer than three pairs, if the averages do not vary, if a single pair
    determines the slope, and if the pairs are on a line.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, contain an infinity, the scale is unknown, or the
            confidence is not between 0 and 1.

    Source: MacKinnon and White, J Econom 1985;29:305-325 (HC3); Long and Ervin, Am Stat 2000;54:217-224.

    >>> result = proportional_bias([10.5, 20.5, 32.0], [9.5, 19.5, 28.0])  # differences 1, 1, 4 at 10, 20, 30
    >>> round(result.slope, 12), result.df
    (0.15, 1)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    sample = paired_differences(test, reference, scale=scale)
    reason = _reason(sample)
    intercept = slope = se = interval = t = p = None
    if reason is None:
        from statsmodels.regression.linear_model import OLS

        # Centred averages: a large mean costs no digits. The slope does not change.
        centred = _centred(sample.averages)
        middle = float(sample.averages[0] - centred[0])
        design = np.column_stack([np.ones(sample.n), centred])
        fit = OLS(sample.values, design).fit(cov_type="HC3", use_t=True)
        slope, se, t, p = (float(values[1]) for values in (fit.params, fit.bse, fit.tvalues, fit.pvalues))
        intercept = float(fit.params[0]) - slope * middle
        lower, upper = fit.conf_int(1 - confidence)[1]
        interval = Interval(float(lower), float(upper))
    return ProportionalBias(
        scale=scale,
        units=UNITS[scale],
        n=sample.n,
        n_dropped=sample.pairs.n_missing + sample.n_undefined,
        intercept=intercept,
        slope=slope,
        slope_se=se,
        slope_ci=interval,
        t=t,
        df=sample.n - 2 if sample.n > 2 else None,
        p=p,
        confidence=confidence,
        method=f"least-squares regression of {DEFINITIONS[scale]} on the averages, HC3 standard error, t with n - 2 df",
        reason=reason,
    )


def _centred(averages: Floats) -> Floats:
    """Return the averages minus their mean; the differences of close numbers are exact, their mean is not."""
    shifted = averages - averages[0]
    return np.asarray(shifted - shifted.mean())


def _reason(sample: Differences) -> str | None:
    """Return why the slope or its standard error is undefined; None if both are defined."""
    if sample.n < 3:
        return "fewer than 3 pairs"
    averages = sample.averages
    if float(np.ptp(averages)) <= NOISE * float(np.abs(averages).max()):
        return "all averages are equal"
    centred = _centred(averages)
    squares = float(centred @ centred)
    if float((1 / sample.n + centred**2 / squares).max()) >= 1 - NOISE:
        return "a single pair determines the slope"
    residuals = sample.values - sample.values.mean() - float(centred @ sample.values) / squares * centred
    if float(np.abs(residuals).max()) <= NOISE * max(sample.pairs.magnitude, float(np.abs(sample.values).max())):
        return "all pairs are on a line"
    return None
