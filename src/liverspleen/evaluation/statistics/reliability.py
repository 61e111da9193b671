"""Reliability of several readers: intraclass correlation of single readings, and Lin's concordance correlation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.arrays import floats_of
from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval
from liverspleen.evaluation.statistics.samples import NOISE, Floats, Result, complete_pairs, mean_and_sd


@dataclass(frozen=True)
class ICC(Result):
    """Intraclass correlations of single readings of `n` subjects by `k` readers, two-way.

    `icc_a1` is absolute agreement (a shift between readers lowers it), `icc_c1` consistency (a shift has no effect).
    `msr`, `msc` and `mse` are the mean squares of subjects, readers and error.
    """

    n: int
    k: int
    n_dropped: int
    icc_a1: float | None
    icc_a1_ci: Interval | None
    icc_c1: float | None
    icc_c1_ci: Interval | None
    msr: float | None
    msc: float | None
    mse: float | None
    confidence: float
    method: str
    reason: str | None


@dataclass(frozen=True)
class Concordance(Result):
    """Lin's concordance correlation: `ccc` = `pearson` × `bias_correction`.

    `location_shift` is (mean of test - mean of reference) / √(SD × SD), `scale_shift` SD of test / SD of reference.
    """

    n: int
    n_dropped: int
    ccc: float | None
    ccc_ci: Interval | None
    pearson: float | None
    bias_correction: float | None
    location_shift: float | None
    scale_shift: float | None
    confidence: float
    method: str
    reason: str | None


def icc(readings: ArrayLike) -> ICC:
    """Compute ICC(A,1) and ICC(C,1) with 95 % intervals of `readings`, subjects × readers (n × k, k ≥ 2).

    Subjects with a missing reading are dropped and counted. The intervals are those of McGraw and Wong; they are
    undefined if the readers differ by constants only. All results are undefined with fewer than two subjects, and if
    all subjects are equal.

    Raises:
        ValueError: `readings` is not two-dimensional with at least two columns, not numeric, or contains an infinity.

    Source: McGraw and Wong, Psychol Methods 1996;1:30-46, with their correction 1996;1:390.

    >>> result = icc([[9.0, 10.0], [5.0, 6.0], [8.0, 9.0], [7.0, 8.0]])
    >>> round(result.icc_a1, 4), result.icc_c1
    (0.8537, 1.0)
    """
    table = floats_of(readings, "a table of readings")
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"readings have shape {table.shape}, expected a table of subjects × at least 2 readers")
    complete = table[~np.isnan(table).any(axis=1)]
    n, k = complete.shape
    msr = msc = mse = a1 = c1 = a1_ci = c1_ci = None
    if n > 1:
        msr, msc, mse = _mean_squares(complete)
    if msr and msc is not None and mse is not None:
        c1 = (msr - mse) / (msr + (k - 1) * mse)
        a1 = (msr - mse) / (msr + (k - 1) * mse + k / n * (msc - mse))
        if mse:
            c1_ci = _consistency_interval(msr, mse, n, k)
            # the width of the interval of an ICC of 1 is below floating-point resolution
            a1_ci = _agreement_interval(msr, msc, mse, a1, n, k) if a1 < 1 else None
    return ICC(
        n=n,
        k=k,
        n_dropped=len(table) - n,
        icc_a1=a1,
        icc_a1_ci=a1_ci,
        icc_c1=c1,
        icc_c1_ci=c1_ci,
        msr=msr,
        msc=msc,
        mse=mse,
        confidence=CONFIDENCE,
        method="two-way ICC of single readings, McGraw and Wong: absolute agreement (A,1) and consistency (C,1)",
        reason=_icc_reason(n, msr, mse, a1_ci),
    )


def concordance_correlation(test: ArrayLike, reference: ArrayLike) -> Concordance:
    """Compute Lin's concordance correlation of `test` and `reference` (n values each, paired by position).

    Moments are with 1/n. The 95 % interval is by Fisher's z with Lin's standard error (n - 2), for three pairs or more;
    it is undefined if the pairs are on a line or have no correlation. Pairs with NaN are dropped and counted. All
    results are undefined with fewer than two pairs, and if all values of a reader are equal.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, or contain an infinity.

    Source: Lin, Biometrics 1989;45:255-268, with the correction 2000;56:324-325.

    >>> result = concordance_correlation([1.0, 2.0, 3.0, 5.0], [1.0, 2.0, 4.0, 5.0])
    >>> round(result.ccc, 4), round(result.bias_correction, 4)
    (0.9474, 0.9846)
    """
    from scipy.special import ndtri

    pairs = complete_pairs(test, reference)
    n = pairs.test.size
    spreads = [mean_and_sd(sample, pairs.magnitude)[1] for sample in (pairs.test, pairs.reference)]
    ccc = ci = pearson = correction = location = scale = None
    if all(spreads):
        sd_test, sd_reference = float(pairs.test.std()), float(pairs.reference.std())
        scale = sd_test / sd_reference
        location = float(pairs.test.mean() - pairs.reference.mean()) / math.sqrt(sd_test * sd_reference)
        correction = 2 / (scale + 1 / scale + location**2)
        pearson = float(np.clip(np.corrcoef(pairs.test, pairs.reference)[0, 1], -1, 1))
        ccc = pearson * correction
        se = _z_standard_error(ccc, pearson, location, n)
        if se is not None:
            half = float(ndtri((1 + CONFIDENCE) / 2)) * se
            ci = Interval(math.tanh(math.atanh(ccc) - half), math.tanh(math.atanh(ccc) + half))
    return Concordance(
        n=n,
        n_dropped=pairs.n_missing,
        ccc=ccc,
        ccc_ci=ci,
        pearson=pearson,
        bias_correction=correction,
        location_shift=location,
        scale_shift=scale,
        confidence=CONFIDENCE,
        method="Lin's concordance correlation, moments with 1/n; interval by Fisher's z",
        reason=_ccc_reason(n, ccc, ci),
    )


def _mean_squares(table: Floats) -> tuple[float, float, float]:
    """Return the mean squares of subjects, readers and error; exactly 0 if values differ by rounding only."""
    n, k = table.shape
    noise = (NOISE * float(np.abs(table).max())) ** 2
    centred = table - table.mean()
    subjects, readers = centred.mean(axis=1), centred.mean(axis=0)
    residuals = centred - subjects[:, None] - readers
    squares = (
        k * float(subjects @ subjects) / (n - 1),
        n * float(readers @ readers) / (k - 1),
        float((residuals**2).sum()) / ((n - 1) * (k - 1)),
    )
    msr, msc, mse = (0.0 if square <= n * k * noise else square for square in squares)
    return msr, msc, mse


def _consistency_interval(msr: float, mse: float, n: int, k: int) -> Interval:
    ratio, df = msr / mse, (n - 1) * (k - 1)
    low, high = ratio / _f_quantile(n - 1, df), ratio * _f_quantile(df, n - 1)
    return Interval((low - 1) / (low + k - 1), (high - 1) / (high + k - 1))


def _agreement_interval(msr: float, msc: float, mse: float, rho: float, n: int, k: int) -> Interval | None:
    """Return the interval; None if a clearly negative ICC gives Satterthwaite's approximation no degrees of freedom."""
    a = k * rho / (n * (1 - rho))
    b = 1 + k * rho * (n - 1) / (n * (1 - rho))
    # Satterthwaite's degrees of freedom of the denominator.
    df = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    low, high = _f_quantile(n - 1, df), _f_quantile(df, n - 1)
    rest = k * msc + (k * n - k - n) * mse
    lower, upper = n * (msr - low * mse) / (low * rest + n * msr), n * (high * msr - mse) / (rest + n * high * msr)
    return Interval(lower, upper) if math.isfinite(lower) and math.isfinite(upper) else None


def _f_quantile(df_numerator: float, df_denominator: float) -> float:
    from scipy.stats import f

    return float(f.ppf((1 + CONFIDENCE) / 2, df_numerator, df_denominator))


def _z_standard_error(ccc: float, pearson: float, location: float, n: int) -> float | None:
    """Return the standard error of Fisher's z of the concordance correlation; None if it is undefined."""
    if n < 3 or abs(pearson) < NOISE or 1 - abs(pearson) < NOISE:
        return None
    variance = (
        (1 - pearson**2) * ccc**2 * (1 - ccc**2) / pearson**2
        + 2 * ccc**3 * (1 - ccc) * location**2 / pearson
        - ccc**4 * location**4 / (2 * pearson**2)
    ) / (n - 2)
    return math.sqrt(variance) / (1 - ccc**2) if variance > 0 else None


def _icc_reason(n: int, msr: float | None, mse: float | None, a1_ci: Interval | None) -> str | None:
    if n < 2:
        return "fewer than 2 complete subjects"
    if not msr:
        return "all subjects are equal"
    if not mse:
        return "the readers differ by constants only: the intervals are undefined"
    return None if a1_ci else "ICC(A,1) is 1 or too far below 0: its interval is undefined"


def _ccc_reason(n: int, ccc: float | None, ci: Interval | None) -> str | None:
    if n < 2:
        return "fewer than 2 complete pairs"
    if ccc is None:
        return "all values of a reader are equal"
    return None if ci else "only 2 pairs, pairs on a line, or pairs without correlation: the interval is undefined"
