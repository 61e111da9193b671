"""Means over training runs and cases, and differences of means, with intervals that include other seeds and cases.

Each run is a training of one configuration with its own seed; all runs are scored on the same cases. So seeds are
nested in configurations and crossed with cases, and a score is

    configuration + seed + case + case by configuration + residual (case by seed).

The variance of a mean is estimated from two mean squares: that of the means of the seeds, which contains the residual,
and that of the means of the cases, from which the residual is subtracted, since the first contains it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.statistics.arrays import floats_of
from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval, logit_interval, t_quantile
from liverspleen.evaluation.statistics.samples import NOISE, Floats, Result

METHOD: Final = (
    "mean ± √(t²(seeds) V(seeds) + t²(cases) max(V(cases) − V(residual), 0)), at least t(cases) √V(cases): variances "
    "from the mean squares of the two-way layout, each with the quantile of its own degrees of freedom"
)

_LOGIT: Final = "; intervals of means on the scale of the logit"


@dataclass(frozen=True)
class SeedCaseMean(Result):
    """Mean of a table of seeds × cases with its interval for other seeds and other cases.

    `seed_sd` is the SD of the means of the seeds, `case_sd` that of the means of the cases. `n_seeds_undefined` counts
    seeds without any score, `n_cases_left_out` cases without a score in one of the other seeds; both are excluded.
    """

    n_seeds: int
    n_cases: int
    n_seeds_undefined: int
    n_cases_left_out: int
    mean: float | None
    mean_ci: Interval | None
    seed_sd: float | None
    case_sd: float | None
    confidence: float
    method: str
    reason: str | None


@dataclass(frozen=True)
class SeedCaseDifference(Result):
    """Difference of two such means on the same cases, first minus second, with its interval; None if undefined."""

    difference: float
    difference_ci: Interval | None
    reason: str | None


def seed_case_mean(table: ArrayLike, *, confidence: float = CONFIDENCE, fraction: bool = False) -> SeedCaseMean:
    """Compute the mean of a table of seeds × cases and its interval; NaN is undefined.

    With A the variance of the s means of seeds over s, B that of the n means of cases over n, and R the mean square
    of the residuals over s n, the half-width squared is t²(s - 1) A + t²(n - 1) max(B - R, 0), at least
    t²(n - 1) B. The interval is undefined with one seed or one case, and if all scores are equal. With `fraction`, for
    scores in [0, 1], it is that of the logit (delta method), which stays in [0, 1].

    Raises:
        ValueError: `table` is not two-dimensional, not numeric, or contains an infinity.

    >>> found = seed_case_mean([[0.90, 0.94, 0.98], [0.92, 0.96, 0.97]])
    >>> found.n_seeds, found.n_cases, round(found.mean, 3), round(found.seed_sd, 4)
    (2, 3, 0.945, 0.0071)
    """
    scores, n_seeds_undefined, n_cases_left_out = _complete(table)
    n_seeds, n_cases = scores.shape
    spread = _spread(scores)
    reason = _reason([scores])
    mean = float(scores.mean()) if scores.size else None
    interval = None
    if mean is not None and not reason:
        half = _half_width([spread], spread.case, n_cases, confidence)
        interval = logit_interval(mean, half) if fraction else Interval(mean - half, mean + half)
    return SeedCaseMean(
        n_seeds=n_seeds,
        n_cases=n_cases,
        n_seeds_undefined=n_seeds_undefined,
        n_cases_left_out=n_cases_left_out,
        mean=mean,
        mean_ci=interval,
        seed_sd=math.sqrt(spread.seed * n_seeds) if scores.size and n_seeds > 1 else None,
        case_sd=math.sqrt(spread.case * n_cases) if scores.size and n_cases > 1 else None,
        confidence=confidence,
        method=METHOD + _LOGIT * fraction,
        reason=reason,
    )


def seed_case_difference(first: Floats, second: Floats, *, confidence: float = CONFIDENCE) -> SeedCaseDifference:
    """Compute the difference of the means of two tables of seeds × cases without NaN, with the same cases as columns.

    As `seed_case_mean`, with the variance of the means of seeds from both tables (each with its own degrees of
    freedom; they are not assumed to be equal), and the variance of the cases from the differences case by case.

    >>> found = seed_case_difference(np.array([[0.9, 0.8], [0.8, 0.9]]), np.array([[0.5, 0.5], [0.6, 0.5]]))
    >>> round(found.difference, 3)
    0.325
    """
    difference = float(first.mean() - second.mean())
    reason = _reason([first, second])
    if reason:
        return SeedCaseDifference(difference, None, reason)
    by_case = first.mean(axis=0) - second.mean(axis=0)
    half = _half_width([_spread(first), _spread(second)], _variance(by_case) / by_case.size, by_case.size, confidence)
    if half <= NOISE * max(float(np.abs(first).max()), float(np.abs(second).max())):
        return SeedCaseDifference(difference, None, "all scores are equal over seeds and cases")
    return SeedCaseDifference(difference, Interval(difference - half, difference + half), None)


@dataclass(frozen=True)
class _Spread:
    """Variance of a mean by the means of its seeds, by the means of its cases, and by the residual."""

    n_seeds: int
    seed: float
    case: float
    residual: float


def _spread(scores: Floats) -> _Spread:
    n_seeds, n_cases = scores.shape
    if min(scores.shape) < 1:
        return _Spread(n_seeds, 0.0, 0.0, 0.0)
    by_seed, by_case = scores.mean(axis=1), scores.mean(axis=0)
    residuals = scores - by_seed[:, None] - by_case + scores.mean()
    df = (n_seeds - 1) * (n_cases - 1)
    residual = float((residuals**2).sum()) / df / scores.size if df else 0.0
    return _Spread(n_seeds, _variance(by_seed) / n_seeds, _variance(by_case) / n_cases, residual)


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else 0.0


def _half_width(spreads: Sequence[_Spread], case: float, n_cases: int, confidence: float) -> float:
    """Return half the length of the interval.

    Σ t²(dfᵢ) Vᵢ for independent Vᵢ with E ΣVᵢ = Var never covers less than stated, for any fractions of the parts:
    P(Z² ≤ x) is concave in x, so by Jensen's inequality P(Z² ≤ Σ wᵢ tᵢ² Vᵢ / EVᵢ) ≥ Σ wᵢ P(Z² ≤ tᵢ² Vᵢ / EVᵢ), and each
    of these is the confidence. Satterthwaite's df covers less if the part with few df is the larger one.
    Source: Banerjee, Sankhyā 1960;22:357-358. The proof does not cover the subtraction of the residual.
    """
    tail = (1 + confidence) / 2
    cases = t_quantile(tail, n_cases - 1) ** 2
    seeds = sum(t_quantile(tail, part.n_seeds - 1) ** 2 * part.seed for part in spreads)
    residual = sum(part.residual for part in spreads)
    return math.sqrt(max(seeds + cases * max(case - residual, 0.0), cases * case))


def _complete(table: ArrayLike) -> tuple[Floats, int, int]:
    """Return the seeds with any score, on their common cases, and the numbers of excluded seeds and cases."""
    scores = floats_of(table, "a table of scores")
    if scores.ndim != 2:
        raise ValueError(f"scores have shape {scores.shape}, expected a table of seeds × cases")
    defined = ~np.isnan(scores)
    seeds = defined.any(axis=1)
    cases = defined[seeds].all(axis=0) if seeds.any() else np.zeros(scores.shape[1], dtype=bool)
    return scores[seeds][:, cases], int((~seeds).sum()), int((~cases).sum())


def _reason(tables: Sequence[Floats]) -> str | None:
    if any(table.size == 0 for table in tables):
        return "no case has a score in every run"
    if any(table.shape[0] == 1 for table in tables):
        return "only 1 seed: the noise of seeds is unknown"
    if tables[0].shape[1] == 1:
        return "only 1 case: the noise of cases is unknown"
    if all(float(np.ptp(table)) <= NOISE * float(np.abs(table).max()) for table in tables):
        return "all scores are equal over seeds and cases"
    return None
