"""Bootstrap confidence intervals over clusters: bias-corrected and accelerated (BCa), with a fixed seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.statistics.arrays import floats_of, labels_of
from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval, logit_interval, t_quantile
from liverspleen.evaluation.statistics.samples import NOISE, Floats, Result

RESAMPLES: Final = 40_000  # keeps the Monte Carlo error near 1 % of the width
FEWEST_RESAMPLES: Final = 2_000  # 4 % of the width
DRAWS: Final = 400_000_000  # clusters drawn for one interval, a few seconds: fewer resamples above 10 000 clusters
SEED: Final = 2020
_CHUNK: Final = 2_000_000  # sampled numbers in memory at a time, 16 MB


@dataclass(frozen=True)
class BCa(Result):
    """A BCa interval with its bias correction z0 and its acceleration (jackknife)."""

    interval: Interval
    z0: float
    acceleration: float


@dataclass(frozen=True)
class BootstrapInterval(Result):
    """An estimate with its 95 % intervals, from `n` values in `n_clusters` clusters.

    `estimate_t_ci` is Student's t interval of a mean (None for other statistics), `estimate_bca_ci` the BCa interval.
    """

    n: int
    n_missing: int
    n_clusters: int
    estimate: float | None
    estimate_t_ci: Interval | None
    estimate_bca_ci: Interval | None
    z0: float | None
    acceleration: float | None
    se_boot: float | None
    resamples: int
    seed: int
    confidence: float
    method: str
    reason: str | None


def bootstrap_ci(
    values: ArrayLike,
    statistic: Callable[[Floats], float] | None = None,
    *,
    clusters: Sequence[Hashable] | None = None,
    fraction: bool = False,
    resamples: int | None = None,
    seed: int = SEED,
) -> BootstrapInterval:
    """Compute the BCa interval of the mean of `values`, or of `statistic(values)`, by resampling whole clusters.

    `values` has n observations along its first axis (n, or n × k); observations with NaN are excluded and counted.
    `clusters` gives the cluster of each observation (the patient of a CT); without it each is its own cluster. The mean
    also has Student's t interval: standard error √(C/(C - 1) Σ e²) / n with e the sum of the deviations in each of C
    clusters, C - 1 degrees of freedom. With one value per cluster this is the usual t interval. With `fraction`, for
    values in [0, 1] such as the DSS, it is the interval of the logit of the mean, which stays in [0, 1]. The
    acceleration comes from excluding one cluster at a time. The intervals are undefined with fewer than two clusters,
    or if all resamples are equal. `resamples` is by default 40 000, and fewer above 10 000 clusters
    (`default_resamples`).

    Raises:
        ValueError: `values` does not have one or two axes, is not numeric, or contains an infinity; `clusters` has
            another length or a missing label; `resamples` is below 1000; a fraction is outside of [0, 1].

    Source: Efron, J Am Stat Assoc 1987;82:171-185; clusters: Field and Welsh, J R Stat Soc B 2007;69:369-390; standard
    error of a mean of clusters: Liang and Zeger, Biometrika 1986;73:13-22.

    >>> result = bootstrap_ci([0.95, 0.97, 0.96, 0.99, 0.90, 0.93], clusters=["p1", "p1", "p2", "p2", "p3", "p4"])
    >>> round(result.estimate, 2), result.n_clusters, result.estimate_bca_ci.lower < 0.95 < result.estimate_bca_ci.upper
    (0.95, 4, True)
    """
    rows, codes, n_missing = _observations(values, clusters)
    n, n_clusters = len(rows), int(codes.max(initial=-1)) + 1
    resamples = default_resamples(n_clusters) if resamples is None else resamples
    if fraction and rows.size and not (rows.min() >= 0 and rows.max() <= 1):
        raise ValueError(f"values from {rows.min():g} to {rows.max():g} are not fractions, expected 0 to 1")
    if resamples < 1000:
        raise ValueError(f"{resamples} resamples are too few for a 95 % interval, expected at least 1000")
    if statistic is None and rows.ndim != 1:
        raise ValueError("values have two dimensions, expected one for the mean; give a statistic for rows")
    estimate = replicates = bca = t_ci = None
    if n:
        estimate = float(rows.mean() if statistic is None else statistic(rows))
    if estimate is not None and n_clusters > 1:
        if statistic is None:
            sums = np.asarray(np.bincount(codes, rows), dtype=np.float64)
            sizes = np.asarray(np.bincount(codes), dtype=np.float64)
            replicates = ratio_replicates(sums, sizes, resamples=resamples, seed=seed)
            jackknife = ratio_jackknife(sums, sizes)
            t_ci = _t_interval(rows, codes, estimate, fraction=fraction)
        else:
            members = [np.flatnonzero(codes == code) for code in range(n_clusters)]
            replicates = _replicates(rows, members, statistic, resamples, seed)
            everything = np.arange(n)
            jackknife = np.array([statistic(rows[np.setdiff1d(everything, m)]) for m in members])
        varies = statistic is not None or t_ci is not None  # else the sums of the clusters differ by rounding only
        bca = bca_interval(estimate, replicates, jackknife) if varies else None
    return BootstrapInterval(
        n=n,
        n_missing=n_missing,
        n_clusters=n_clusters,
        estimate=estimate,
        estimate_t_ci=t_ci,
        estimate_bca_ci=None if bca is None else bca.interval,
        z0=None if bca is None else bca.z0,
        acceleration=None if bca is None else bca.acceleration,
        se_boot=None if bca is None or replicates is None else float(replicates.std(ddof=1)),
        resamples=resamples,
        seed=seed,
        confidence=CONFIDENCE,
        method=f"BCa bootstrap over clusters, {resamples} resamples, seed {seed}"
        + ("; Student's t with cluster-robust standard error, clusters - 1 degrees of freedom" * (statistic is None))
        + (", of the logit" * (statistic is None and fraction)),
        reason=_reason(n, n_clusters, bca),
    )


def default_resamples(clusters: int) -> int:
    """Return the number of resamples for an interval over this number of clusters.

    >>> [default_resamples(clusters) for clusters in (50, 10_000, 50_000, 1_000_000)]
    [40000, 40000, 8000, 2000]
    """
    return min(RESAMPLES, max(FEWEST_RESAMPLES, DRAWS // max(clusters, 1)))


def bca_interval(estimate: float, replicates: Floats, jackknife: Floats) -> BCa | None:
    """Return the BCa interval; None if the replicates do not vary or are all on one side of the estimate."""
    from scipy.special import ndtr, ndtri

    scale = float(np.abs(replicates).max())
    if not np.isfinite(scale) or float(np.ptp(replicates)) <= NOISE * scale:
        return None
    # Replicates equal to the estimate up to rounding count half on each side.
    apart = np.where(np.abs(replicates - estimate) <= NOISE * scale, 0.0, replicates - estimate)
    below = float(((apart < 0) + 0.5 * (apart == 0)).mean())
    if not 0 < below < 1:
        return None
    z0 = float(ndtri(below))
    influence = jackknife.mean() - jackknife
    spread = float((influence**2).sum())
    acceleration = float((influence**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    z = z0 + ndtri([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if not (1 - acceleration * z > 0).all():
        return None
    lower, upper = np.quantile(replicates, ndtr(z0 + z / (1 - acceleration * z)), method="linear")
    return BCa(Interval(float(lower), float(upper)), z0, acceleration)


def ratio_replicates(
    numerators: Floats, denominators: Floats, *, resamples: int | None = None, seed: int = SEED
) -> Floats:
    """Return Σ numerators / Σ denominators over clusters sampled with replacement, once per resample."""
    rng = np.random.default_rng(seed)
    size = numerators.size
    resamples = default_resamples(size) if resamples is None else resamples
    found = np.empty(resamples)
    ones = bool((denominators == 1).all())
    step = max(1, _CHUNK // size)
    for start in range(0, resamples, step):
        sampled = rng.integers(0, size, (min(step, resamples - start), size))
        # A sum of ones needs no sampling: bootstrap of a mean with one value per cluster.
        total = float(size) if ones else denominators.take(sampled).sum(axis=1)
        found[start : start + step] = numerators.take(sampled).sum(axis=1) / total
    return found


def ratio_jackknife(numerators: Floats, denominators: Floats) -> Floats:
    """Return Σ numerators / Σ denominators with each cluster excluded in turn."""
    return np.asarray((numerators.sum() - numerators) / (denominators.sum() - denominators), dtype=np.float64)


def _observations(values: ArrayLike, clusters: Sequence[Hashable] | None) -> tuple[Floats, NDArray[np.intp], int]:
    """Return the complete observations, the cluster number of each, and the number of excluded observations."""
    rows = floats_of(values, "values")
    if rows.ndim not in (1, 2):
        raise ValueError(f"values have {rows.ndim} dimensions, expected 1 or 2")
    names: Sequence[Hashable] = range(len(rows)) if clusters is None else labels_of(clusters, "clusters")
    if len(names) != len(rows):
        raise ValueError(f"values have length {len(rows)}, clusters {len(names)}, expected the same length")
    missing = np.asarray(np.isnan(rows) if rows.ndim == 1 else np.isnan(rows).any(axis=1))
    numbers: dict[Hashable, int] = {}
    codes = [
        numbers.setdefault(name, len(numbers))
        for name, is_missing in zip(names, missing, strict=True)
        if not is_missing
    ]
    return rows[~missing], np.array(codes, dtype=np.intp), int(missing.sum())


def _replicates(
    rows: Floats,
    members: Sequence[NDArray[np.intp]],
    statistic: Callable[[Floats], float],
    resamples: int,
    seed: int,
) -> Floats:
    rng = np.random.default_rng(seed)
    sampled = (rng.integers(0, len(members), len(members)) for _ in range(resamples))
    return np.array([statistic(rows[np.concatenate([members[code] for code in codes])]) for codes in sampled])


def _t_interval(rows: Floats, codes: NDArray[np.intp], mean: float, *, fraction: bool) -> Interval | None:
    sums = np.bincount(codes, rows - mean)
    variance = sums.size / (sums.size - 1) * float(sums @ sums) / rows.size**2
    if math.sqrt(variance) <= NOISE * float(np.abs(rows).max()):
        return None
    half = t_quantile((1 + CONFIDENCE) / 2, sums.size - 1) * math.sqrt(variance)
    return logit_interval(mean, half) if fraction else Interval(mean - half, mean + half)


def _reason(n: int, n_clusters: int, bca: BCa | None) -> str | None:
    if n == 0:
        return "no complete observations"
    if n_clusters < 2:
        return "only 1 cluster: the interval is undefined"
    return None if bca else "the resamples do not vary around the estimate: the interval is undefined"
