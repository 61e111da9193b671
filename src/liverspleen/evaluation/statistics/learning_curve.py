"""A learning curve: the power law of the DSS over the number of training cases, and the cases that a DSS needs.

DSS = a - b n^-c with a ≤ 1, b ≥ 0 and c from 0.05 to 3: an asymptote, approached as a power of the number of cases.
Sources: Figueroa et al., BMC Med Inform Decis Mak 2012;12:8 (this curve with an asymptote, and its use to predict a
sample size); Cho et al., arXiv:1511.06348 (medical images); Hestness et al., arXiv:1712.00409 (deep networks, c).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.statistics.arrays import floats_of
from liverspleen.evaluation.statistics.intervals import Interval
from liverspleen.evaluation.statistics.samples import Floats, Result

LEVEL: Final = 0.95
FEWEST_SIZES: Final = 4
"""Different numbers of cases that a curve needs: its law has three parameters."""
FEWEST_TRAININGS: Final = 6
MOST_CASES: Final = 100_000
"""Numbers of cases beyond it are not searched; an interval that reaches it has no upper limit."""

_POWERS: Final = 2.0 ** (np.arange(-104, 39) / 24)  # 0.05 to 3 in steps of 3 %
_SIZES: Final = np.geomspace(1.0, MOST_CASES, 600)  # steps of 2 %
_TINY: Final = 1e-4  # smallest SD of the DSS of a training; _POWERS is not finer
_SIGNIFICANT: Final = 0.01  # p value of the tests of increase and misfit

FLAT: Final = "the DSS does not clearly increase with the number of cases"
MISFIT: Final = "the means of the DSS do not follow a power law"
BEYOND: Final = "the DSS is not below the asymptote of the curve"
UNBOUNDED: Final = "the interval has no upper limit"


@dataclass(frozen=True)
class LearningCurve(Result):
    """The fitted curve DSS = `asymptote` - `drop` n^-`power` and the need of a wanted DSS.

    Attributes:
        n_trainings: trainings with a DSS.
        sizes: different numbers of cases, ascending.
        residual_sd: SD of the DSS of a training about the curve, with n_trainings - 3 degrees of freedom.
        wanted_dss: the DSS that is asked for.
        cases: cases for which the curve has the wanted DSS; None if the curve does not tell.
        cases_ci: 95 % interval of it; None if the curve does not tell.
        at_least: lower limit of the interval also if it has no upper limit; None if the curve tells nothing.
        reason: why the curve does not tell; None if it does.
    """

    n_trainings: int
    sizes: tuple[int, ...]
    asymptote: float
    drop: float
    power: float
    residual_sd: float
    wanted_dss: float
    cases: int | None
    cases_ci: Interval | None
    at_least: int | None
    reason: str | None


def learning_curve(
    cases: ArrayLike, dss: ArrayLike, seeds: ArrayLike | None = None, *, wanted_dss: float
) -> LearningCurve:
    """Fit the power law by least squares, and return how many cases `wanted_dss` needs.

    `cases`, `dss` and `seeds` have one value per training; trainings with one seed use nested subsets. The interval is
    the profile likelihood interval: the numbers of cases N for which the best curve through (N, `wanted_dss`) does
    not fit worse than the best curve, by an F test with 1 and n - 3 degrees of freedom at 0.05. Trainings of a seed may
    deviate from the curve in the same direction. The test then uses the larger mean square between the seeds in place
    of that within them. The curve does not tell the need if

    - it does not fit better than a constant (F test with 2 and n - 3 degrees of freedom at 0.01),
    - with several trainings per number of cases, the means deviate from it (lack of fit, F test at 0.01),
    - `wanted_dss` is not below its asymptote, or
    - the interval reaches 100 000 cases.

    The interval is valid for other trainings and other subsets of the same kind, with the same validation cases.

    Raises:
        ValueError: a number is out of range, or there are too few trainings or different numbers of cases.

    Source: Bates and Watts, Nonlinear Regression Analysis, 1988, chapter 6 (profile intervals).

    >>> n = [5, 10, 20, 40, 80]
    >>> curve = learning_curve(n * 2, [0.95 - 0.5 / one for one in n * 2], wanted_dss=0.94)  # 0.5 / 50 = 0.01
    >>> curve.cases, round(curve.asymptote, 3), round(curve.power, 2)
    (50, 0.95, 1.0)
    >>> learning_curve(n * 2, [0.9, 0.91, 0.9, 0.89, 0.9] * 2, wanted_dss=0.95).reason
    'the DSS does not clearly increase with the number of cases'
    """
    n, y = _checked(cases, dss, wanted_dss)
    fit = _Fit(n, y)
    inflation = _between_seeds(fit, np.asarray(seeds)) if seeds is not None else 1.0
    sizes = tuple(int(one) for one in np.unique(n))
    reason = _flat(fit) or _misfit(fit)
    need: int | None = None
    interval: Interval | None = None
    at_least: int | None = None
    if reason is None:
        lower, upper = _profile(fit, wanted_dss, inflation)
        at_least = max(1, math.floor(lower)) if lower < MOST_CASES else None
        need = fit.need(wanted_dss)
        if need is None or math.isinf(upper):
            reason = BEYOND if need is None else UNBOUNDED
            need = None
        else:
            interval = Interval(min(at_least or need, need), max(math.ceil(upper), need))
    asymptote, drop, power = fit.best
    return LearningCurve(len(n), sizes, asymptote, drop, power, fit.sd, wanted_dss, need, interval, at_least, reason)


class _Fit:
    """Least squares for each of `_POWERS`, within the limits of asymptote and drop."""

    def __init__(self, n: Floats, y: Floats) -> None:
        self.n, self.y = n, y
        self.terms = n ** -_POWERS[:, None]  # (power, training)
        x = self.terms - self.terms.mean(axis=1, keepdims=True)
        drops = np.maximum(-(x @ y) / (x * x).sum(axis=1), 0.0)
        asymptotes = y.mean() + drops * self.terms.mean(axis=1)
        over = asymptotes > 1.0
        asymptotes[over] = 1.0
        drops[over] = ((self.terms @ (1.0 - y)) / (self.terms**2).sum(axis=1))[over]
        squares = ((asymptotes[:, None] - drops[:, None] * self.terms - y) ** 2).sum(axis=1)
        chosen = int(squares.argmin())
        self.best = float(asymptotes[chosen]), float(drops[chosen]), float(_POWERS[chosen])
        self.squares = float(squares[chosen])
        self.residuals = y - asymptotes[chosen] + drops[chosen] * self.terms[chosen]
        self.df = len(n) - 3
        self.sd = math.sqrt(self.squares / self.df)

    @property
    def variance(self) -> float:
        """Residual variance, positive also for an exact curve."""
        return max(self.sd, _TINY) ** 2

    def need(self, wanted: float) -> int | None:
        """Return the cases of the best curve for a DSS; None if it has none up to the limit."""
        asymptote, drop, power = self.best
        if asymptote <= wanted or drop <= 0:
            return None
        size = (drop / (asymptote - wanted)) ** (1 / power)
        return max(1, math.ceil(size - 1e-6 * size)) if size <= MOST_CASES else None

    def through(self, size: float, wanted: float) -> float:
        """Return the sum of squares of the best curve with the DSS `wanted` at `size` cases, or as asymptote (inf)."""
        there = np.zeros_like(_POWERS) if math.isinf(size) else size**-_POWERS
        x = self.terms - there[:, None]
        above = wanted - self.y
        most = np.full_like(_POWERS, math.inf) if math.isinf(size) else (1.0 - wanted) / there
        drops = np.clip((x @ above) / (x * x).sum(axis=1), 0.0, most)
        return float(((above - drops[:, None] * x) ** 2).sum(axis=1).min())


def _flat(fit: _Fit) -> str | None:
    constant = float(((fit.y - fit.y.mean()) ** 2).sum())
    ratio = (constant - fit.squares) / 2 / fit.variance
    return None if ratio > f_quantile(1 - _SIGNIFICANT, 2, fit.df) else FLAT


def _misfit(fit: _Fit) -> str | None:
    """Return the reason if the means of several trainings per number of cases deviate from the curve."""
    sizes, group = np.unique(fit.n, return_inverse=True)
    means = np.bincount(group, fit.y) / np.bincount(group)
    pure, df = float(((fit.y - means[group]) ** 2).sum()), len(fit.y) - len(sizes)
    lack = len(sizes) - 3
    if not df:
        return None
    ratio = (fit.squares - pure) / lack / max(pure / df, _TINY**2)
    return MISFIT if ratio > f_quantile(1 - _SIGNIFICANT, lack, df) else None


def _between_seeds(fit: _Fit, seeds: NDArray[Any]) -> float:
    """Return the mean square of the residuals between seeds divided by that within them, at least 1."""
    if seeds.shape != fit.y.shape:
        raise ValueError(f"seeds have the shape {seeds.shape}, dss {fit.y.shape}, expected one value per training")
    _, group = np.unique(seeds, return_inverse=True)
    counts = np.bincount(group)
    if len(counts) < 2 or (within_df := fit.df - len(counts) + 1) < 1:
        return 1.0
    means = np.bincount(group, fit.residuals) / counts
    between = float((counts * means**2).sum()) / (len(counts) - 1)
    within = float(((fit.residuals - means[group]) ** 2).sum()) / within_df
    return max(1.0, between / max(within, _TINY**2))


def _profile(fit: _Fit, wanted: float, inflation: float) -> tuple[float, float]:
    """Return the smallest and largest number of cases that are compatible; inf without an upper limit."""
    limit = fit.squares + inflation * f_quantile(LEVEL, 1, fit.df) * fit.variance
    inside = [index for index, size in enumerate(_SIZES) if fit.through(float(size), wanted) <= limit]
    unbounded = fit.through(math.inf, wanted) <= limit
    if not inside:
        need = float(fit.need(wanted) or math.inf)
        return need, math.inf if unbounded else need
    lower = _SIZES[max(inside[0] - 1, 0)]
    last = inside[-1] + 1
    return float(lower), math.inf if unbounded or last == len(_SIZES) else float(_SIZES[last])


def f_quantile(probability: float, numerator: int, denominator: int) -> float:
    """Return a quantile of the F distribution."""
    from scipy.special import fdtri

    return float(fdtri(numerator, denominator, probability))


def _checked(cases: ArrayLike, dss: ArrayLike, wanted: float) -> tuple[Floats, Floats]:
    n, y = floats_of(cases), floats_of(dss)
    if n.shape != y.shape or n.ndim != 1:
        raise ValueError(f"cases have the shape {n.shape}, dss {y.shape}, expected one value per training")
    if not 0 < wanted < 1:
        raise ValueError(f"the wanted DSS is {wanted}, expected a number between 0 and 1")
    if not (np.isfinite(n).all() and (n == np.round(n)).all() and (n >= 1).all() and (n <= MOST_CASES).all()):
        raise ValueError(f"a number of cases is not a whole number from 1 to {MOST_CASES}")
    if not (np.isfinite(y).all() and (y >= 0).all() and (y <= 1).all()):
        raise ValueError("a DSS is not a number from 0 to 1")
    if (sizes := len(np.unique(n))) < FEWEST_SIZES or len(n) < FEWEST_TRAININGS:
        raise ValueError(
            f"{len(n)} trainings with {sizes} different numbers of cases, expected {FEWEST_TRAININGS} trainings or "
            f"more with {FEWEST_SIZES} or more"
        )
    return n, y
