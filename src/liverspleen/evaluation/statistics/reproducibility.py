"""Percentage RC: how far two measurements of the same patient differ by measurement error only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.bootstrap import BCa, bca_interval, ratio_jackknife, ratio_replicates
from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval, sd_interval
from liverspleen.evaluation.statistics.samples import NOISE, Floats, Result, complete_pairs, reasons
from liverspleen.evaluation.statistics.within_subject import Repeats, repeats_of, within_variances

RC_QUANTILE: Final = 1.96
"""Number of SDs that 95 % of differences do not exceed, as printed by the paper; independent of `LOA_MULTIPLIER`."""

RC_MULTIPLIER: Final = RC_QUANTILE * math.sqrt(2)
"""Two measurements differ by less than this number of within-subject SDs in 95 % of cases."""

LARGEST_LOG_SD: Final = 26.0  # above it exp(sw²) overflows float64


@dataclass(frozen=True)
class LogRC(Result):
    """%RC from the within-subject SD of logarithms, `sw_log`, in percent.

    Two formulas convert `sw_log` to a CV: √(exp(sw²) - 1), the CV of a lognormal variable, and exp(sw) - 1. The
    asymmetric limits are 100 (exp(± 1.96 √2 sw) - 1): a second measurement is between them, relative to the first, in
    95 % of cases.
    """

    sw_log: float
    df: int
    wcv_pct_lognormal: float
    wcv_pct_exp_minus_1: float
    rc_pct_lognormal: float
    rc_lognormal_ci: Interval | None
    rc_pct_exp_minus_1: float
    asymmetric_limits_pct: Interval


@dataclass(frozen=True)
class WithinSD(Result):
    """Within-subject SD and RC in the units of the readings, and in percent of the mean over subjects."""

    wsd: float
    rc_absolute: float
    rc_absolute_ci: Interval | None
    wcv_pct: float | None
    rc_pct: float | None


@dataclass(frozen=True)
class BiasRemovedRC(Result):
    """%RC without the shift between the repeats (from the residuals of subject and repeat), in percent.

    With two repeats it is the half-width of their percent limits of agreement. It does not contain
    the mean difference of the repeats, so it is not the RC of a measurement that may come from any of them.
    """

    wcv_pct: float
    rc_pct: float
    rc_ci: Interval | None
    df: int


@dataclass(frozen=True)
class PercentageRC(Result):
    """Percentage reproducibility coefficient, within-subject CV and their intervals, all in percent.

    `rc_ci` is the χ² interval of the RC, `wcv_ci` that of the wCV; `rc_bca_ci` and `wcv_bca_ci` are bootstrap intervals
    over subjects. `n_dropped` = `n_missing` (fewer than two readings) + `n_undefined` (the mean of the subject is
    zero). `positions` are the indices of the used subjects. `log`, `wsd` and `bias_removed` are other definitions, for
    comparison; `log` needs positive readings (with a finite CV), `bias_removed` two subjects with every repeat.
    """

    n: int
    n_dropped: int
    n_missing: int
    n_undefined: int
    wcv_pct: float | None
    rc_pct: float | None
    rc_ci: Interval | None
    df: int | None
    wcv_ci: Interval | None
    rc_bca_ci: Interval | None
    wcv_bca_ci: Interval | None
    bca_acceleration: float | None
    log: LogRC | None
    wsd: WithinSD | None
    bias_removed: BiasRemovedRC | None
    confidence: float
    multiplier: float
    units: str
    method: str
    reason: str | None
    positions: tuple[int, ...]


def percentage_rc(first: ArrayLike, second: ArrayLike | None = None) -> PercentageRC:
    """Compute the percentage RC of two samples paired by position, or of one table of subjects × repeats.

    %RC = 1.96 √(2 wCV²) with wCV the root mean square over subjects of (within-subject SD / subject mean), subjects
    weighted by their repeats minus one. The SD is around the mean of the subject, so that it contains a shift between
    the repeats. 95 % CI from χ² with Σ (K - 1) degrees of freedom, and by BCa bootstrap over subjects. Subjects
    with fewer than two readings or a mean of zero are dropped and counted. One pair is enough (df 1, no BCa); with
    identical repeats the RC is 0 and its intervals are undefined.

    Raises:
        ValueError: two samples that differ in length or are not one-dimensional; a table with fewer than two
            columns; an infinity.

    Source: Raunig et al., Stat Methods Med Res 2015;24:27-67; RC as in Ahn et al. 2020.

    >>> result = percentage_rc([90.0], [110.0])
    >>> round(result.wcv_pct, 4), round(result.rc_pct, 2)
    (14.1421, 39.2)
    >>> percentage_rc([[90.0, 110.0, 100.0], [50.0, 50.0, None]]).df
    3
    """
    repeats = repeats_of(first if second is None else _columns(first, second))
    wcv = rc = rc_ci = wcv_ci = bca = None
    df = int(repeats.df.sum())
    if df:
        squares = relative_variances(repeats)
        weights = repeats.df
        wcv = 100 * math.sqrt(float(weights @ squares) / df)
        rc = RC_MULTIPLIER * wcv
        if wcv:
            rc_ci = sd_interval(rc, df)
            wcv_ci = sd_interval(wcv, df)
            bca = _bca(weights * squares, weights)
    log, bias_removed = _log(repeats), _bias_removed(repeats)
    return PercentageRC(
        n=repeats.n,
        n_dropped=repeats.n_missing + repeats.n_undefined,
        n_missing=repeats.n_missing,
        n_undefined=repeats.n_undefined,
        wcv_pct=wcv,
        rc_pct=rc,
        rc_ci=rc_ci,
        df=df or None,
        wcv_ci=wcv_ci,
        rc_bca_ci=None if bca is None else bca.interval.scaled(RC_MULTIPLIER),
        wcv_bca_ci=None if bca is None else bca.interval,
        bca_acceleration=None if bca is None else bca.acceleration,
        log=log,
        wsd=_wsd(repeats),
        bias_removed=bias_removed,
        confidence=CONFIDENCE,
        multiplier=RC_MULTIPLIER,
        units="%",
        method=f"%RC = {RC_QUANTILE} sqrt(2 wCV^2), wCV by root mean square of the CV of each subject; "
        "95 % CI by chi-square with sum (K - 1) degrees of freedom",
        reason=_rc_reason(df, rc, bca=bca is not None, log=log is not None, bias_removed=bias_removed is not None),
        positions=tuple(repeats.positions.tolist()),
    )


def _rc_reason(df: int, rc: float | None, *, bca: bool, log: bool, bias_removed: bool) -> str | None:
    if not df:
        return "no complete pairs with a nonzero mean"
    return reasons(
        {
            "all repeats are equal: the intervals are undefined": not rc,
            "too few subjects have different CVs: the BCa interval is undefined": bool(rc) and not bca,
            "a reading is not positive: the RC of logarithms is undefined": not log,
            "fewer than 2 subjects with every repeat: the RC without shift is undefined": not bias_removed,
        }
    )


def relative_variances(repeats: Repeats) -> Floats:
    """Return the squared CV of the repeats of each subject."""
    return np.asarray(within_variances(repeats.values) / repeats.means**2, dtype=np.float64)


def _columns(first: ArrayLike, second: ArrayLike) -> Floats:
    """Return two paired samples as a table; both readings of an incomplete pair are missing."""
    pairs = complete_pairs(first, second)
    table = np.full((pairs.test.size + pairs.n_missing, 2), np.nan)
    table[pairs.positions] = np.column_stack([pairs.test, pairs.reference])
    return table


def _bca(numerators: Floats, weights: Floats) -> BCa | None:
    """Return the BCa interval of the wCV in percent; None with one subject."""
    if weights.size < 2:
        return None
    replicates = 100 * np.sqrt(ratio_replicates(numerators, weights))
    jackknife = 100 * np.sqrt(ratio_jackknife(numerators, weights))
    return bca_interval(100 * math.sqrt(numerators.sum() / weights.sum()), replicates, jackknife)


def _log(repeats: Repeats) -> LogRC | None:
    df = int(repeats.df.sum())
    if not df or np.nanmin(repeats.values) <= 0:
        return None
    # Divided by the mean of the subject: the variance of logarithms does not change, and no digits are lost.
    variances = within_variances(np.log(repeats.values / repeats.means[:, None]))
    variances[within_variances(repeats.values) == 0] = 0
    sw = math.sqrt(float(repeats.df @ variances) / df)
    if sw > LARGEST_LOG_SD:
        return None
    half = RC_MULTIPLIER * sw
    interval = sd_interval(sw, df) if sw else None
    if interval is not None and interval.upper > LARGEST_LOG_SD:
        interval = None
    return LogRC(
        sw_log=sw,
        df=df,
        wcv_pct_lognormal=_lognormal_pct(sw),
        wcv_pct_exp_minus_1=100 * math.expm1(sw),
        rc_pct_lognormal=RC_MULTIPLIER * _lognormal_pct(sw),
        rc_lognormal_ci=None
        if interval is None
        else Interval(_lognormal_pct(interval.lower), _lognormal_pct(interval.upper)).scaled(RC_MULTIPLIER),
        rc_pct_exp_minus_1=RC_MULTIPLIER * 100 * math.expm1(sw),
        asymmetric_limits_pct=Interval(100 * math.expm1(-half), 100 * math.expm1(half)),
    )


def _lognormal_pct(sw: float) -> float:
    return 100 * math.sqrt(math.expm1(sw * sw))


def _wsd(repeats: Repeats) -> WithinSD | None:
    df = int(repeats.df.sum())
    if not df:
        return None
    wsd = math.sqrt(float(repeats.df @ within_variances(repeats.values)) / df)
    mean = abs(float(repeats.means.mean()))
    wcv = 100 * wsd / mean if mean > NOISE * float(np.nanmax(np.abs(repeats.values))) else None
    return WithinSD(
        wsd=wsd,
        rc_absolute=RC_MULTIPLIER * wsd,
        rc_absolute_ci=sd_interval(RC_MULTIPLIER * wsd, df) if wsd else None,
        wcv_pct=wcv,
        rc_pct=None if wcv is None else RC_MULTIPLIER * wcv,
    )


def _bias_removed(repeats: Repeats) -> BiasRemovedRC | None:
    if repeats.n < 2 or not repeats.balanced:
        return None
    relative = repeats.values / repeats.means[:, None] - 1  # each row has mean 0
    residuals = relative - relative.mean(axis=0)
    df = (repeats.n - 1) * (relative.shape[1] - 1)
    wcv = 100 * math.sqrt(float((residuals**2).sum()) / df)
    if np.abs(residuals).max() <= NOISE:
        wcv = 0.0
    return BiasRemovedRC(wcv, RC_MULTIPLIER * wcv, sd_interval(RC_MULTIPLIER * wcv, df) if wcv else None, df)
