"""Differences with several observations for a patient: mean, SD, and intervals.

An observation is the mean + the deviation of the patient + a deviation within the patient (a random effect of the
patient), as in Bland and Altman, Stat Methods Med Res 1999;8:135-160, section 5.3. Each patient has the same weight in
the mean: the interval of the mean of all observations, with a standard error that is robust to clusters, contained the
true value in 85 to 94 % of simulated studies with unequal numbers of observations, and this one in 94 to 96 %.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverspleen.evaluation.statistics.arrays import labels_of
from liverspleen.evaluation.statistics.differences import Differences
from liverspleen.evaluation.statistics.intervals import (
    AgreementIntervals,
    Interval,
    LimitIntervals,
    chi_square_factors,
    t_quantile,
)
from liverspleen.evaluation.statistics.samples import NOISE, Floats, Result, mean_and_sd


@dataclass(frozen=True)
class Clustered(Result):
    """Mean and SD of clustered differences by cluster, and the components of the SD.

    `mean` is that of the means of the clusters, and `standard_error` = `sd_of_means` / √C, with `df` = C - 1 degrees of
    freedom. `sd` is that of a single observation of a new cluster: √(sd_of_means² + (1 - 1/m) sd_within²), with m the
    harmonic mean of the observations of a cluster. `sd_between`² = sd_of_means² - sd_within² / m, at least 0.
    """

    n_clusters: int
    mean: float
    sd: float
    standard_error: float
    df: int
    sd_between: float
    sd_within: float
    df_within: int
    sd_of_means: float
    mean_size: float


def cluster_codes(clusters: Sequence[Hashable] | None, positions: NDArray[np.intp], n: int) -> NDArray[np.intp] | None:
    """Return the cluster number of the observations at `positions`; None if each is its own cluster.

    Raises:
        ValueError: `clusters` does not have `n` labels, or one is missing.
    """
    if clusters is None:
        return None
    names = labels_of(clusters, "clusters")
    if len(names) != n:
        raise ValueError(f"samples have length {n}, clusters {len(names)}, expected the same length")
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(names[position], len(numbers)) for position in positions]
    return np.array(codes, dtype=np.intp) if len(numbers) < len(codes) else None


def clustered(values: Floats, codes: NDArray[np.intp], magnitude: float) -> Clustered | None:
    """Return mean, SD and components of `values` with cluster numbers `codes`; None with a single cluster.

    A spread that rounding of values of this `magnitude` causes is 0.

    Source: Zou, Stat Methods Med Res 2013;22:630-642. With equal numbers of observations it is the analysis of variance
    of Bland and Altman 1999, section 5.3.

    >>> found = clustered(np.array([1.0, 3.0, 5.0, 7.0]), np.array([0, 0, 1, 1]), 7.0)
    >>> found.mean, round(found.sd_within**2, 9), round(found.sd**2, 9)  # means 2 and 6; 2; 8 + 2 / 2
    (4.0, 2.0, 9.0)
    """
    sizes = np.bincount(codes).astype(np.float64)
    n_clusters, mean_size = sizes.size, sizes.size / float((1 / sizes).sum())
    if n_clusters < 2:
        return None
    means = np.bincount(codes, values) / sizes
    mean, sd_of_means = mean_and_sd(means, magnitude)
    assert mean is not None
    assert sd_of_means is not None
    inside, df_within = values - means[codes], values.size - n_clusters
    is_noise = float(np.abs(inside).max()) <= NOISE * magnitude
    within = 0.0 if is_noise else float(inside @ inside) / df_within
    return Clustered(
        n_clusters=n_clusters,
        mean=mean,
        sd=math.sqrt(sd_of_means**2 + (1 - 1 / mean_size) * within),
        standard_error=sd_of_means / math.sqrt(n_clusters),
        df=n_clusters - 1,
        sd_between=math.sqrt(max(0.0, sd_of_means**2 - within / mean_size)),
        sd_within=math.sqrt(within),
        df_within=df_within,
        sd_of_means=sd_of_means,
        mean_size=mean_size,
    )


def mean_by_cluster(sample: Differences, clusters: Sequence[Hashable] | None) -> tuple[float | None, float | None, int]:
    """Return the mean of differences, its standard error (None if it is 0 or undefined) and degrees of freedom."""
    codes = cluster_codes(clusters, sample.pairs.positions, sample.n_given)
    if codes is None:
        return sample.mean, sample.sd / math.sqrt(sample.n) if sample.sd else None, sample.n - 1
    found = clustered(sample.values, codes, sample.magnitude)
    if found is None:
        return sample.mean, None, 0
    return found.mean, found.standard_error or None, found.df


def clustered_intervals(found: Clustered, *, multiplier: float, confidence: float) -> AgreementIntervals:
    """Return the intervals of bias, SD and limits of agreement; those that assume independence are None.

    The interval of the bias is Student's t of the means of the clusters. Those of the SD and of the limits combine the
    intervals of their parts by MOVER.

    Source: Zou, Stat Methods Med Res 2013;22:630-642.
    """
    mean = found.mean
    half = t_quantile((1 + confidence) / 2, found.df) * found.standard_error
    sd_ci = _sd_interval(found, confidence)
    inward = math.hypot(half, multiplier * (found.sd - sd_ci.lower))
    outward = math.hypot(half, multiplier * (sd_ci.upper - found.sd))
    low, high = mean - multiplier * found.sd, mean + multiplier * found.sd
    return AgreementIntervals(
        bias_ci=Interval(mean - half, mean + half),
        sd_ci=sd_ci,
        ba1999=None,
        ba1986=None,
        exact=None,
        exact_pair=None,
        mover=LimitIntervals(Interval(low - outward, low + inward), Interval(high - inward, high + outward)),
        exact_factors=None,
        exact_pair_factors=None,
        tolerance_interval=None,
    )


def _sd_interval(found: Clustered, confidence: float) -> Interval:
    parts = (
        (found.sd_of_means**2, found.df),
        ((1 - 1 / found.mean_size) * found.sd_within**2, found.df_within),
    )
    below = above = 0.0
    for variance, df in parts:
        low, high = chi_square_factors(df, confidence)
        below += (variance * (1 - low)) ** 2
        above += (variance * (high - 1)) ** 2
    total = found.sd**2
    return Interval(math.sqrt(max(0.0, total - math.sqrt(below))), math.sqrt(total + math.sqrt(above)))
