"""Sample sizes for limits of agreement, for a percentage RC, and for equivalence of two readers.

The width of an interval is a factor that depends on n, times an SD that the study estimates. So there are two plans:
for the expected width, and for a width that is reached with a stated probability, the assurance. The second needs more
cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from liverspleen.evaluation.statistics.equivalence import ALPHA
from liverspleen.evaluation.statistics.intervals import (
    LOA_MULTIPLIER,
    exact_factors,
    exact_pair_factors,
    sd_interval,
    t_quantile,
)
from liverspleen.evaluation.statistics.samples import Result

ASSURANCE: Final = 0.8
POWER: Final = 0.8
LARGEST_N: Final = 100_000
"""Upper limit of the search."""


@dataclass(frozen=True)
class PlannedWidth(Result):
    """`n` by one method, the expected half-width, and the probability that it is at most the target.

    The probability is None if there is no target half-width (n was given).
    """

    name: str
    n: int
    half_width: float
    probability: float | None
    method: str


@dataclass(frozen=True)
class PlannedPower(Result):
    """`n` by one method, and the exact power of the study."""

    name: str
    n: int
    power: float
    method: str


@dataclass(frozen=True)
class _Width:
    """The half-width of an interval as `factor(n)` times an SD estimated with `df(n)` degrees of freedom."""

    name: str
    method: str
    factor: Callable[[int], float]
    df: Callable[[int], int]

    def planned(self, n: int, sd: float, target: float | None, name: str = "") -> PlannedWidth:
        """Return the plan for `n`."""
        expected = self.factor(n) * _expected_sd(self.df(n)) * sd
        probability = None if target is None else self.probability(n, sd, target)
        return PlannedWidth(name or self.name, n, expected, probability, self.method)

    def probability(self, n: int, sd: float, target: float) -> float:
        """Return P(half-width ≤ target), from the χ² distribution of the estimated variance."""
        from scipy.special import chdtr

        ratio = target / (self.factor(n) * sd)
        return float(chdtr(self.df(n), self.df(n) * ratio * ratio))


_APPROXIMATE: Final = _Width(
    "approximate",
    f"{LOA_MULTIPLIER} sqrt(3/n) SD, with the SD assumed known (Bland and Altman 1986)",
    lambda n: LOA_MULTIPLIER * math.sqrt(3 / n),
    lambda n: n - 1,
)
_ONE_LIMIT: Final = _Width(
    "exact, one limit",
    "half the length of the exact interval of one limit (noncentral t; Carkeet 2015, Jan and Shieh 2018)",
    lambda n: (exact_factors(n)[1] - exact_factors(n)[0]) / 2,
    lambda n: n - 1,
)
_BOTH_LIMITS: Final = _Width(
    "exact, both limits",
    "half the length of the exact interval of both limits together (tolerance factors; Carkeet 2015)",
    lambda n: (exact_pair_factors(n)[1] - exact_pair_factors(n)[0]) / 2,
    lambda n: n - 1,
)


def plan_loa(
    *, sd: float, half_width: float | None = None, n: int | None = None, assurance: float = ASSURANCE
) -> tuple[PlannedWidth, ...]:
    """Compute the number of pairs for limits of agreement whose 95 % intervals are limit ± `half_width`.

    The limits are bias ± 1.96 SD. `sd` is that of the differences, `half_width` has its units. The approximate row
    assumes that the SD is known. Each exact interval has two rows: for the expected half-width, and for one reached
    with probability `assurance`. With `n` instead of `half_width`, the rows give the half-width of n pairs.

    Raises:
        ValueError: a number is out of range, not exactly one of `half_width` and `n` is given, or more than
            `LARGEST_N` pairs are needed.

    Source: Bland and Altman, Lancet 1986;327:307-310; Carkeet, Optom Vis Sci 2015;92:e71-e80; Jan and Shieh, Comput
    Biol Med 2018;100:247-252.

    >>> [(row.name, row.n) for row in plan_loa(sd=1.0, half_width=0.34)][:2]
    [('approximate', 100), ('exact, one limit, expected', 101)]
    >>> round(plan_loa(sd=2.0, n=100)[0].half_width, 3)
    0.677
    """
    _check(half_width, n, fewest=2, assurance=assurance, sd=sd)
    exact = (_ONE_LIMIT, _BOTH_LIMITS)
    if half_width is None:
        return tuple(width.planned(int(n or 0), sd, None) for width in (_APPROXIMATE, *exact))
    target = half_width
    known = _smallest(2, lambda size: _APPROXIMATE.factor(size) * sd <= target)
    rows = (row for width in exact for row in _twice(width, sd, target, assurance, fewest=2))
    return (_APPROXIMATE.planned(known, sd, target), *rows)


def plan_rc(
    *,
    rc_pct: float,
    half_width_pct: float | None = None,
    n: int | None = None,
    repeats: int = 2,
    assurance: float = ASSURANCE,
) -> tuple[PlannedWidth, ...]:
    """Compute the number of subjects with `repeats` CT scans each for a χ² interval of the RC of 2 `half_width_pct`.

    `rc_pct` is the assumed percentage RC. Rows and `n` are as in `plan_loa`. The interval is longer above the RC than
    below it.

    Raises:
        ValueError: as `plan_loa`.

    Source: Raunig et al., Stat Methods Med Res 2015;24:27-67 (the interval).

    >>> [row.n for row in plan_rc(rc_pct=10.0, half_width_pct=2.0)]
    [52, 59]
    """
    if repeats < 2:
        raise ValueError(f"repeats is {repeats}, expected 2 or more")

    def df(n: int) -> int:
        return n * (repeats - 1)

    def factor(n: int) -> float:
        lower, upper = sd_interval(1.0, df(n))
        return (upper - lower) / 2

    method = "half the length of the chi-square interval, n (repeats - 1) degrees of freedom"
    width = _Width("chi-square", method, factor, df)
    _check(half_width_pct, n, fewest=1, assurance=assurance, rc_pct=rc_pct)
    if half_width_pct is None:
        return (width.planned(int(n or 0), rc_pct, None),)
    return _twice(width, rc_pct, half_width_pct, assurance, fewest=1)


def plan_tost(
    *, sd: float, margin: float, bias: float = 0.0, power: float = POWER, n: int | None = None
) -> tuple[PlannedPower, ...]:
    """Compute the number of pairs for a power of two one-sided t-tests (α = 0.05) of the mean difference, ± `margin`.

    `sd` is that of the differences, `bias` the true mean difference, all in one unit. The rows are exact, and by the
    noncentral t approximation, which is too low if n is small. With `n`, the result is the power of n pairs.

    Raises:
        ValueError: a number is out of range, the bias is not within the margin, or more than `LARGEST_N` pairs are
            needed.

    Source: Owen, Biometrika 1965;52:437-446; Phillips, J Pharmacokinet Biopharm 1990;18:137-144.

    >>> [(row.name, row.n) for row in plan_tost(sd=1.0, margin=0.5)]
    [('exact', 36), ('noncentral t', 36)]
    """
    _check_positive(sd=sd, margin=margin)
    if not math.isfinite(bias):
        raise ValueError(f"bias {bias} is NaN or inf")
    if not 0 < power < 1:
        raise ValueError(f"power {power} is not between 0 and 1")
    if n is None and abs(bias) >= margin:
        raise ValueError(f"bias {bias} is not within the margin {margin}: no number of cases shows equivalence")
    methods: dict[str, tuple[Callable[..., float], str]] = {
        "exact": (tost_power, "power by quadrature over the estimated SD (Owen's Q)"),
        "noncentral t": (_noncentral_power, "power by two noncentral t distributions, assumed independent of the SD"),
    }

    def needed(power_of: Callable[..., float]) -> int:
        return _smallest(2, lambda size: power_of(size, sd=sd, margin=margin, bias=bias) >= power)

    if n is not None:
        _check_n(n, 2)
        return (PlannedPower("exact", n, tost_power(n, sd=sd, margin=margin, bias=bias), methods["exact"][1]),)
    rows = [(name, needed(power_of), method) for name, (power_of, method) in methods.items()]
    return tuple(
        PlannedPower(name, size, tost_power(size, sd=sd, margin=margin, bias=bias), method)
        for name, size, method in rows
    )


def tost_power(n: int, *, sd: float, margin: float, bias: float = 0.0) -> float:
    """Return the exact power of the paired TOST of `n` pairs at α = 0.05.

    >>> round(tost_power(36, sd=1.0, margin=0.5), 4)
    0.8051
    """
    return exact_power(standard_error=sd / math.sqrt(n), df=n - 1, margin=margin, bias=bias)


def exact_power(*, standard_error: float, df: int, margin: float, bias: float) -> float:
    """Return P(both one-sided t-tests reject).

    Given s, the ratio of the estimated to the true SE, the mean must be within ± (margin - t s SE). The result is the
    mean over s, which is √(χ²/df), by Gauss-Legendre quadrature; a difference of two of Owen's Q functions.
    """
    from scipy.special import chdtri, gammaln, ndtr

    t = t_quantile(1 - ALPHA, df)
    # integration bounds of s: the acceptance region vanishes, or the density is negligible
    least = math.sqrt(float(chdtri(df, 1 - 1e-15)) / df)
    most = min(margin / (t * standard_error), math.sqrt(float(chdtri(df, 1e-16)) / df))
    if most <= least:
        return 0.0
    nodes, weights = np.polynomial.legendre.leggauss(400)
    s = least + (nodes + 1) / 2 * (most - least)
    log_density = (
        math.log(2) + df / 2 * math.log(df / 2) - float(gammaln(df / 2)) + (df - 1) * np.log(s) - df * s**2 / 2
    )
    inside = ndtr((margin - bias) / standard_error - t * s) - ndtr((-margin - bias) / standard_error + t * s)
    return float(weights @ (inside * np.exp(log_density))) * (most - least) / 2


def _noncentral_power(n: int, *, sd: float, margin: float, bias: float) -> float:
    from scipy.special import nctdtr

    standard_error = sd / math.sqrt(n)
    t = t_quantile(1 - ALPHA, n - 1)
    below = float(nctdtr(n - 1, (bias - margin) / standard_error, -t))
    above = float(nctdtr(n - 1, (bias + margin) / standard_error, t))
    return max(0.0, below - above)


def _twice(width: _Width, sd: float, target: float, assurance: float, *, fewest: int) -> tuple[PlannedWidth, ...]:
    """Return the plan for the expected half-width, and the plan that reaches it with probability `assurance`."""
    expected = _smallest(fewest, lambda n: width.planned(n, sd, None).half_width <= target)
    assured = _smallest(fewest, lambda n: width.probability(n, sd, target) >= assurance)
    return (
        width.planned(expected, sd, target, f"{width.name}, expected"),
        width.planned(assured, sd, target, f"{width.name}, assurance {100 * assurance:g} %"),
    )


def _smallest(fewest: int, enough: Callable[[int], bool]) -> int:
    """Return the smallest n, at least `fewest`, that is enough; more cases are never worse."""
    most = fewest
    while not enough(most):
        if most >= LARGEST_N:
            raise ValueError(f"more than {LARGEST_N} cases are needed")
        fewest, most = most + 1, min(2 * most, LARGEST_N)
    while fewest < most:
        middle = (fewest + most) // 2
        fewest, most = (fewest, middle) if enough(middle) else (middle + 1, most)
    return most


def _expected_sd(df: int) -> float:
    """Return the expected ratio of an estimated SD to the true one, below 1."""
    return math.sqrt(2 / df) * math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2))


def _check(half_width: float | None, n: int | None, *, fewest: int, assurance: float, **positive: float) -> None:
    if (half_width is None) == (n is None):
        raise ValueError("give either the half-width or n")
    if not 0 < assurance < 1:
        raise ValueError(f"assurance {assurance} is not between 0 and 1")
    if n is not None:
        _check_n(n, fewest)
    _check_positive(**positive, **({} if half_width is None else {"half_width": half_width}))


def _check_positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value}, expected a number above 0")


def _check_n(n: int, fewest: int) -> None:
    if not fewest <= n <= LARGEST_N:
        raise ValueError(f"n is {n}, expected {fewest} to {LARGEST_N}")
