"""Agreement of two readers on the same cases: bias and 95 % limits of agreement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.samples import Floats, Pairs, Result, complete_pairs, mean_and_sd, raw

Scale = Literal["absolute", "percent"]

MULTIPLIER: Final = 1.96  # as printed by the paper, not the quantile 1.959964

_METHODS: Final[dict[str, str]] = {
    "absolute": "Bland-Altman on differences test - reference",
    "percent": "Bland-Altman on percent differences 200 (test - reference) / (test + reference)",
}


@dataclass(frozen=True)
class BlandAltman(Result):
    """Bias and limits of agreement; in `units` of the differences, `None` where undefined.

    `n_dropped` = `n_missing` (a reading is NaN) + `n_undefined` (percent difference of two zeros). `positions`,
    `averages` and `differences` hold the pairs that entered, for figures.
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
    t: float | None
    df: int | None
    p_bias: float | None
    method: str
    reason: str | None
    positions: tuple[int, ...] = raw()
    averages: tuple[float, ...] = raw()
    differences: tuple[float, ...] = raw()


def bland_altman(test: ArrayLike, reference: ArrayLike, *, scale: Scale = "absolute") -> BlandAltman:
    """Bias, SD and 95 % limits of agreement of `test` against `reference` (n values each, paired by position).

    A difference is test minus reference; on the percent scale it is divided by the mean of the two, which is undefined
    for a pair of zeros. SD with n - 1, limits at bias ± 1.96 SD, p of the bias by the two-sided one-sample t-test.
    Pairs with NaN are dropped and counted. With one pair the bias is its difference, SD, limits and t are undefined;
    at zero variance the SD is exactly 0, the limits equal the bias, and t and p are undefined.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, hold an infinity, or the scale is unknown.

    Source: Bland and Altman, Lancet 1986;327:307-310; percent scale as in Figure 4 of Ahn et al. 2020.

    >>> result = bland_altman([101.0, 99.0, 103.0], [100.0, 100.0, 100.0])
    >>> result.bias, result.sd, round(result.loa_upper, 2)
    (1.0, 2.0, 4.92)
    """
    if scale not in _METHODS:
        raise ValueError(f"scale {scale!r} is not one of {', '.join(_METHODS)}")
    complete = complete_pairs(test, reference)
    pairs = complete.where(complete.test + complete.reference != 0) if scale == "percent" else complete
    n, n_undefined = pairs.test.size, complete.test.size - pairs.test.size
    differences, magnitude = _differences(pairs, scale)
    bias, sd = mean_and_sd(differences, magnitude)
    half_width = None if sd is None else MULTIPLIER * sd
    t = bias / (sd / math.sqrt(n)) if bias is not None and sd else None
    return BlandAltman(
        scale=scale,
        units="%" if scale == "percent" else "as given",
        n=n,
        n_dropped=pairs.n_missing + n_undefined,
        n_missing=pairs.n_missing,
        n_undefined=n_undefined,
        bias=bias,
        sd=sd,
        half_width=half_width,
        loa_lower=None if bias is None or half_width is None else bias - half_width,
        loa_upper=None if bias is None or half_width is None else bias + half_width,
        multiplier=MULTIPLIER,
        t=t,
        df=n - 1 if n > 1 else None,
        p_bias=None if t is None else _two_sided_t(t, n - 1),
        method=f"{_METHODS[scale]}; SD with n - 1; limits bias ± {MULTIPLIER} SD; p: two-sided one-sample t-test",
        reason=_reason(n, sd),
        positions=tuple(pairs.positions.tolist()),
        averages=tuple(((pairs.test + pairs.reference) / 2).tolist()),
        differences=tuple(differences.tolist()),
    )


def _differences(pairs: Pairs, scale: Scale) -> tuple[Floats, float]:
    """The differences, and the magnitude at which they carry rounding noise."""
    differences = pairs.test - pairs.reference
    if scale == "absolute":
        return differences, pairs.magnitude
    return np.asarray(200.0 * differences / (pairs.test + pairs.reference), dtype=np.float64), 200.0


def _two_sided_t(t: float, df: int) -> float:
    from scipy.stats import t as student

    return float(2 * student.sf(abs(t), df))


def _reason(n: int, sd: float | None) -> str | None:
    if n == 0:
        return "no complete pair"
    if sd is None:
        return "one pair has no SD, limits or t"
    return "zero variance: t and p are undefined" if sd == 0 else None
