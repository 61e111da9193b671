"""Equivalence and non-inferiority of a reader and a reference: two one-sided t-tests (TOST), and smallest margins."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.clustered import mean_by_cluster
from liverspleen.evaluation.statistics.differences import DEFINITIONS, UNITS, Scale, paired_differences
from liverspleen.evaluation.statistics.intervals import Interval, t_quantile
from liverspleen.evaluation.statistics.samples import Result

ALPHA: Final = 0.05
CONFIDENCE: Final = 1 - 2 * ALPHA
"""Confidence of the interval that is within the margins when both one-sided p values are below `ALPHA`."""


@dataclass(frozen=True)
class Equivalence(Result):
    """Two one-sided t-tests of the mean difference against ± `margin`.

    `p_lower` has the null hypothesis of a mean of -margin or less (non-inferiority if more is better), `p_upper` of
    +margin or more (non-inferiority if less is better). `p` is the larger of the two, for equivalence.
    `smallest_margin` is the margin at which `p` is 0.05, `smallest_margin_lower` and `_upper` those of one side (0 if
    the data exclude 0 itself). On the log scale `margin` and the smallest margins are ratios above 1; `bias` and
    `bias_ci` stay logarithms. `bias_ci` has the confidence 1 - 2α = 90 %.
    """

    scale: Scale
    units: str
    n: int
    n_dropped: int
    n_missing: int
    n_undefined: int
    margin: float
    bias: float | None
    df: int | None
    t_lower: float | None
    t_upper: float | None
    p_lower: float | None
    p_upper: float | None
    p: float | None
    bias_ci: Interval | None
    equivalent: bool | None
    not_below: bool | None
    not_above: bool | None
    smallest_margin: float | None
    smallest_margin_lower: float | None
    smallest_margin_upper: float | None
    alpha: float
    confidence: float
    method: str
    reason: str | None


def tost(
    test: ArrayLike,
    reference: ArrayLike,
    *,
    margin: float,
    scale: Scale = "absolute",
    clusters: Sequence[Hashable] | None = None,
) -> Equivalence:
    """Test equivalence of `test` and `reference` (n values each, paired by position) within ± `margin`, at α = 0.05.

    Differences are those of `bland_altman` on the same scale. `margin` is in the units of the readings (absolute), in
    percent points (percent), or a ratio above 1 (log: 1.05 for ratios from 1/1.05 to 1.05). The readers are
    equivalent if both one-sided p values are below 0.05; the 90 % interval of the mean is then within the margins. A
    difference that is not significant does not show equivalence. Undefined with fewer than two pairs and at zero
    variance. With several pairs in one of `clusters` (the patient of each pair) the tests are those of the means of the
    clusters, as in `bland_altman`.

    Raises:
        ValueError: the margin is not positive and finite (log: not above 1); the two differ in length, are not
            one-dimensional, contain an infinity, or the scale is unknown.

    Source: Schuirmann, J Pharmacokinet Biopharm 1987;15:657-680.

    >>> result = tost([101.0, 99.0, 103.0, 101.0], [100.0] * 4, margin=5.0)
    >>> result.equivalent, round(result.p, 4), round(result.smallest_margin, 2)
    (True, 0.0081, 2.92)
    """
    if not (math.isfinite(margin) and margin > (1 if scale == "log" else 0)):
        raise ValueError(f"margin {margin} is not {'a ratio above 1' if scale == 'log' else 'positive and finite'}")
    sample = paired_differences(test, reference, scale=scale)
    bound = math.log(margin) if scale == "log" else margin
    t_lower = t_upper = p_lower = p_upper = bias_ci = None
    mean, error, df = mean_by_cluster(sample, clusters)
    if mean is not None and error is not None:
        t_lower, t_upper = (mean + bound) / error, (mean - bound) / error
        p_lower, p_upper = _upper_tail(t_lower, df), _upper_tail(-t_upper, df)
        half = t_quantile((1 + CONFIDENCE) / 2, df) * error
        bias_ci = Interval(mean - half, mean + half)
    below, above = (None, None) if bias_ci is None else (max(0.0, -bias_ci.lower), max(0.0, bias_ci.upper))
    p = None if p_lower is None or p_upper is None else max(p_lower, p_upper)
    return Equivalence(
        scale=scale,
        units=UNITS[scale],
        n=sample.n,
        n_dropped=sample.pairs.n_missing + sample.n_undefined,
        n_missing=sample.pairs.n_missing,
        n_undefined=sample.n_undefined,
        margin=margin,
        bias=mean,
        df=df if df > 0 else None,
        t_lower=t_lower,
        t_upper=t_upper,
        p_lower=p_lower,
        p_upper=p_upper,
        p=p,
        bias_ci=bias_ci,
        equivalent=None if p is None else p < ALPHA,
        not_below=None if p_lower is None else p_lower < ALPHA,
        not_above=None if p_upper is None else p_upper < ALPHA,
        smallest_margin=None if below is None or above is None else _as_margin(max(below, above), scale),
        smallest_margin_lower=None if below is None else _as_margin(below, scale),
        smallest_margin_upper=None if above is None else _as_margin(above, scale),
        alpha=ALPHA,
        confidence=CONFIDENCE,
        method=f"two one-sided paired t-tests on {DEFINITIONS[scale]}, alpha {ALPHA}, 90 % interval"
        + ("; by patient" if df < sample.n - 1 else ""),
        reason=_reason(sample.n, sample.sd, has_error=error is not None),
    )


def _as_margin(distance: float, scale: Scale) -> float | None:
    if scale != "log":
        return distance
    return math.exp(distance) if distance < 700 else None  # exp of a larger number overflows float64


def _upper_tail(t: float, df: int) -> float:
    from scipy.special import stdtr

    return float(stdtr(df, -t))


def _reason(n: int, sd: float | None, *, has_error: bool) -> str | None:
    if n == 0:
        return "no complete pairs"
    if sd is None:
        return "only 1 pair: the SD is undefined"
    if sd == 0:
        return "all differences are equal: t, p value and interval are undefined"
    return None if has_error else "only 1 patient, or all patients have one mean: t, p value and interval are undefined"
