"""How far two measurements of the same patient may differ by measurement alone: the percentage RC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.samples import Result, complete_pairs

MULTIPLIER: Final = 1.96  # as printed by the paper, not the quantile 1.959964
CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class PercentageRC(Result):
    """Percentage reproducibility coefficient, within-subject CV and the CI of the former, all in percent.

    `n_dropped` = `n_missing` (a reading is NaN) + `n_undefined` (the mean of the pair is zero). `positions` tells
    which pairs entered.
    """

    n: int
    n_dropped: int
    n_missing: int
    n_undefined: int
    wcv_pct: float | None
    rc_pct: float | None
    ci_lower: float | None
    ci_upper: float | None
    df: int | None
    confidence: float
    multiplier: float
    units: str
    method: str
    reason: str | None
    positions: tuple[int, ...]


def percentage_rc(first: ArrayLike, second: ArrayLike) -> PercentageRC:
    """Percentage RC of two repeated measurements per subject (n values each, paired by position).

    %RC = 1.96 √(2 wCV²) with wCV the root mean square over subjects of (within-pair SD / pair mean); the within-pair
    variance is d²/2, so that a shift of the mean between the two stays in. 95 % CI from χ² with n (K - 1) = n degrees
    of freedom. Pairs with NaN or a mean of zero are dropped and counted. One pair suffices; with identical pairs the
    RC is 0 and its CI undefined.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, or hold an infinity.

    Source: Raunig et al., Stat Methods Med Res 2015;24:27-67; RC as in Ahn et al. 2020.

    >>> result = percentage_rc([90.0], [110.0])
    >>> round(result.wcv_pct, 4), round(result.rc_pct, 2)
    (14.1421, 39.2)
    """
    complete = complete_pairs(first, second)
    pairs = complete.where(complete.test + complete.reference != 0)
    n, n_undefined = pairs.test.size, complete.test.size - pairs.test.size
    wcv = rc = lower = upper = None
    if n:
        variances = (pairs.test - pairs.reference) ** 2 / 2
        wcv = 100 * math.sqrt(np.mean(variances / ((pairs.test + pairs.reference) / 2) ** 2))
        rc = MULTIPLIER * math.sqrt(2) * wcv
    if rc:
        lower, upper = _chi_square_interval(rc, n)
    return PercentageRC(
        n=n,
        n_dropped=pairs.n_missing + n_undefined,
        n_missing=pairs.n_missing,
        n_undefined=n_undefined,
        wcv_pct=wcv,
        rc_pct=rc,
        ci_lower=lower,
        ci_upper=upper,
        df=n or None,
        confidence=CONFIDENCE,
        multiplier=MULTIPLIER,
        units="%",
        method=f"%RC = {MULTIPLIER} sqrt(2 wCV^2), wCV by root mean square of the per-pair CV; "
        "95 % CI by chi-square with n (K - 1) degrees of freedom",
        reason="no complete pair with a nonzero mean" if n == 0 else None if rc else "zero variance: no CI",
        positions=tuple(pairs.positions.tolist()),
    )


def _chi_square_interval(rc: float, df: int) -> tuple[float, float]:
    from scipy.stats import chi2

    tail = (1 - CONFIDENCE) / 2
    return rc * math.sqrt(df / float(chi2.isf(tail, df))), rc * math.sqrt(df / float(chi2.ppf(tail, df)))
