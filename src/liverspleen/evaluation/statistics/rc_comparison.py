"""Comparison of the reproducibility (wCV) of two readers on the same repeated subjects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.statistics.arrays import floats_of
from liverspleen.evaluation.statistics.bootstrap import SEED, bca_interval, ratio_jackknife, ratio_replicates
from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval
from liverspleen.evaluation.statistics.reproducibility import RC_MULTIPLIER, relative_variances
from liverspleen.evaluation.statistics.samples import NOISE, Floats, Result
from liverspleen.evaluation.statistics.within_subject import Repeats, repeats_of

EXCHANGES: Final = 10_000
_CHUNK: Final = 5_000_000  # signs in memory at a time, 40 MB
ENUMERATED: Final = 13
"""Up to this number of subjects all 2^n exchanges are counted; above it, a random sample of them."""


@dataclass(frozen=True)
class RCComparison(Result):
    """wCV and %RC of two readers on the same subjects, their ratio (test / reference), and p value of no difference.

    `n_dropped` = `n_missing` (fewer than two repeats that both readers measured) + `n_undefined` (a mean is zero).
    """

    n: int
    n_dropped: int
    n_missing: int
    n_undefined: int
    df: int | None
    wcv_pct_test: float | None
    wcv_pct_reference: float | None
    rc_pct_test: float | None
    rc_pct_reference: float | None
    ratio: float | None
    ratio_bca_ci: Interval | None
    p: float | None
    exchanges: int
    seed: int
    confidence: float
    method: str
    reason: str | None
    positions: tuple[int, ...]


def compare_rc(test: ArrayLike, reference: ArrayLike) -> RCComparison:
    """Test if two readers of the same scans have the same percentage RC; both tables are subjects × repeats.

    Under the null hypothesis the two readers of a subject are exchangeable, so that each sign of the difference of
    their squared CV has probability 1/2. The two-sided permutation test of the ratio of wCV is exact at every n under
    any common distribution and correlation of the readers, and approximate if their errors differ in shape. It uses all
    exchanges up to 13 subjects, above it 10 000 random ones (the observed one is then added to the p value). The ratio
    has a BCa interval over subjects. Only repeats that both readers measured are used; a subject with fewer than two of
    them, or a mean of zero, is dropped and counted. If the CVs of all subjects are equal, the p value is undefined;
    with a wCV of zero the ratio is undefined.

    Raises:
        ValueError: the two are not tables of one shape with at least two columns, or contain an infinity.

    Source: Pitman, J R Stat Soc Suppl 1937;4:119-130; Phipson and Smyth, Stat Appl Genet Mol Biol 2010;9:39.

    >>> result = compare_rc([[90.0, 110.0], [95.0, 105.0]], [[99.0, 101.0], [98.0, 102.0]])
    >>> round(result.ratio, 2), result.p
    (5.0, 0.5)
    """
    tables = [floats_of(table, "a table of repeats") for table in (test, reference)]
    if tables[0].shape != tables[1].shape:
        raise ValueError(f"tables have shapes {tables[0].shape} and {tables[1].shape}, expected the same shape")
    incomplete = np.isnan(tables[0]) | np.isnan(tables[1])
    first, second = _same_subjects(*(repeats_of(np.where(incomplete, np.nan, table)) for table in tables))
    weights, df = first.df, int(first.df.sum())
    squares = [relative_variances(side) for side in (first, second)]
    wcv = [100 * math.sqrt(float(weights @ square) / df) if df else None for square in squares]
    differences = np.where(_equal(*squares), 0.0, weights * (squares[0] - squares[1]))
    changed = bool(differences.any())
    ratio = wcv[0] / wcv[1] if wcv[0] and wcv[1] else None
    interval = _ratio_interval(weights * squares[0], weights * squares[1]) if ratio and changed else None
    return RCComparison(
        n=first.n,
        n_dropped=first.n_missing + first.n_undefined,
        n_missing=first.n_missing,
        n_undefined=first.n_undefined,
        df=df or None,
        wcv_pct_test=wcv[0],
        wcv_pct_reference=wcv[1],
        rc_pct_test=None if wcv[0] is None else RC_MULTIPLIER * wcv[0],
        rc_pct_reference=None if wcv[1] is None else RC_MULTIPLIER * wcv[1],
        ratio=ratio,
        ratio_bca_ci=interval,
        p=_exchange_p(differences) if changed else None,
        exchanges=2**first.n if first.n <= ENUMERATED else EXCHANGES,
        seed=SEED,
        confidence=CONFIDENCE,
        method="ratio of wCV (root mean square of the CV of each subject), BCa over subjects; "
        "p value: permutation of the two readers within subjects, two-sided",
        reason=_reason(df, ratio, changed, interval),
        positions=tuple(first.positions.tolist()),
    )


def _same_subjects(first: Repeats, second: Repeats) -> tuple[Repeats, Repeats]:
    """Exclude subjects whose mean is zero for one of the two; missing values are the same in both."""
    common = np.intersect1d(first.positions, second.positions)
    return tuple(side.where(np.isin(side.positions, common)) for side in (first, second))  # type: ignore[return-value]


def _equal(first: Floats, second: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.abs(first - second) <= NOISE * np.maximum(first, second))


def _exchange_p(differences: Floats) -> float:
    """Return the two-sided p value of Σ differences if each sign has probability 1/2."""
    observed = abs(float(differences.sum())) - NOISE * float(np.abs(differences).sum())
    n = differences.size
    if n <= ENUMERATED:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((np.abs(signs @ differences) >= observed).mean())
    rng = np.random.default_rng(SEED)
    reached = 0
    step = min(500, max(1, _CHUNK // n))
    for start in range(0, EXCHANGES, step):
        signs = 1 - 2 * rng.integers(0, 2, (min(step, EXCHANGES - start), n))
        reached += int((np.abs(signs @ differences) >= observed).sum())
    return (reached + 1) / (EXCHANGES + 1)


def _ratio_interval(first: Floats, second: Floats) -> Interval | None:
    """Return the BCa interval of √(Σ first / Σ second) on the log scale; None if a resample has no variance."""
    if first.size < 2:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        replicates = np.log(ratio_replicates(first, second)) / 2
        jackknife = np.log(ratio_jackknife(first, second)) / 2
    if not (np.isfinite(replicates).all() and np.isfinite(jackknife).all()):
        return None
    found = bca_interval(math.log(float(first.sum() / second.sum())) / 2, replicates, jackknife)
    if found is None:
        return None
    return Interval(math.exp(found.interval.lower), math.exp(found.interval.upper))


def _reason(df: int, ratio: float | None, changed: bool, interval: Interval | None) -> str | None:
    if not df:
        return "no subject has 2 repeats and nonzero means"
    if not changed:
        return "the readers have the same CV in every subject: p value and interval are undefined"
    if not ratio:
        return "a wCV is 0: the ratio is undefined"
    return None if interval else "too few subjects have different CVs: the BCa interval is undefined"
