"""Calibration of probabilities: sums by bin, expected calibration error (ECE), Brier score, reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.statistics.samples import Result, reasons

BINS: Final = 15
"""Bins of equal width: the number of Guo et al., ICML 2017."""

EDGES: Final = tuple(place / BINS for place in range(BINS + 1))
"""Bounds of the bins. A bin has its upper bound and not its lower one; the first bin also has 0."""

SCALE: Final = 1 << 32
"""Sums of probabilities and of squared errors are whole numbers of 1 / SCALE, so that parts add up in any order."""

_CHUNK: Final = 1 << 16  # observations at a time; their float64 values fit the cache of a core, and their sums float64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BinSums:
    """Sums over the observations of each bin: their number, outcomes that are 1, probabilities, and squared errors.

    `probability` and `squared_error` are in units of 1 / `SCALE`.

    >>> first, second = bin_sums([0.1, 0.9], [0, 1]), bin_sums([0.9], [0])
    >>> first + second == bin_sums([0.9, 0.9, 0.1], [0, 1, 0])
    True
    """

    n: tuple[int, ...] = (0,) * BINS
    ones: tuple[int, ...] = (0,) * BINS
    probability: tuple[int, ...] = (0,) * BINS
    squared_error: tuple[int, ...] = (0,) * BINS

    def __add__(self, other: BinSums) -> BinSums:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return BinSums(*(tuple(map(int.__add__, mine, its)) for mine, its in pairs))


@dataclass(frozen=True)
class CalibrationBin(Result):
    """A bin of probabilities in (lower, upper]: mean probability and fraction of outcomes that are 1; None if empty."""

    lower: float
    upper: float
    n: int
    mean_probability: float | None
    fraction: float | None


@dataclass(frozen=True)
class Calibration(Result):
    """ECE and Brier score of `n` probabilities, of which `n_ones` have the outcome 1, and the bins of the diagram."""

    n: int
    n_ones: int
    ece: float | None
    brier: float | None
    bins: tuple[CalibrationBin, ...]
    method: str
    reason: str | None


def calibration(probabilities: ArrayLike, outcomes: ArrayLike) -> Calibration:
    """Compute ECE, Brier score and reliability diagram of probabilities of an event and its outcomes, 0 or 1.

    ECE = Σ n_b / n |f_b − p_b| over 15 bins of equal width, with the fraction f_b of outcomes that are 1 and the mean
    probability p_b in bin b. The Brier score is the mean of (p − outcome)². Both are undefined without an observation.
    Probabilities of 1 and 0 that are always right give 0, and a constant probability c has the ECE |f − c|.

    Raises:
        ValueError: the shapes differ, a probability is outside of [0, 1], or an outcome is neither 0 nor 1.

    Source: Guo et al., ICML 2017 (ECE, here of the probability of one class instead of the most probable class, as in
    Kull et al., NeurIPS 2019); Brier, Mon Weather Rev 1950;78:1-3.

    >>> result = calibration([0.2, 0.2, 0.2, 0.2, 0.8], [0, 0, 0, 1, 1])  # 4/5 |0.25 - 0.2| + 1/5 |1 - 0.8|
    >>> round(result.ece, 9), round(result.brier, 9)  # (3 * 0.04 + 0.64 + 0.04) / 5
    (0.08, 0.16)
    """
    return calibration_of(bin_sums(probabilities, outcomes))


def bin_sums(probabilities: ArrayLike, outcomes: ArrayLike) -> BinSums:
    """Return the sums of probabilities in [0, 1] and their outcomes, 0 or 1, by bin; the order changes no sum.

    A probability and a squared error are rounded to 2⁻³².

    Raises:
        ValueError: the shapes differ, a probability is outside of [0, 1], or an outcome is neither 0 nor 1.
    """
    given, events = np.asarray(probabilities), np.asarray(outcomes)
    if given.shape != events.shape:
        raise ValueError(f"probabilities have shape {given.shape}, outcomes {events.shape}, expected the same shape")
    order: Literal["K", "C"] = "K" if given.strides == events.strides else "C"
    flat, known = given.ravel(order=order), events.ravel(order=order)
    sums = np.zeros((4, BINS), np.int64)
    for start in range(0, flat.size, _CHUNK):
        sums += _chunk_sums(flat[start : start + _CHUNK], known[start : start + _CHUNK])
    return BinSums(*(tuple(row) for row in sums.tolist()))


def _chunk_sums(probabilities: NDArray[Any], outcomes: NDArray[Any]) -> NDArray[np.int64]:
    """Return n, ones, probability and squared error by bin, as whole numbers."""
    sums = np.zeros((4, BINS), np.int64)
    lowest, highest, events = probabilities.min(), probabilities.max(), outcomes.max()
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(f"probabilities from {lowest:g} to {highest:g}, expected 0 to 1")
    if not highest and not events and not outcomes.min():  # most of a CT is background
        sums[0, 0] = probabilities.size
        return sums
    values, truth = probabilities.astype(np.float64), outcomes.astype(np.float64)
    if not ((truth == 0) | (truth == 1)).all():
        raise ValueError("outcomes have other values than 0 and 1")
    weights = (None, truth, np.rint(values * SCALE), np.rint((values - truth) ** 2 * SCALE))
    if highest <= EDGES[1]:
        sums[:, 0] = [values.size, *(int(weight.sum()) for weight in weights if weight is not None)]
        return sums
    places = np.searchsorted(EDGES[1:-1], values)
    for row, weight in zip(sums, weights, strict=True):  # whole numbers below 2^53: float64 adds them exactly
        row += np.bincount(places, weight, minlength=BINS).astype(np.int64)
    return sums


def calibration_of(sums: BinSums) -> Calibration:
    """Return ECE, Brier score and bins from sums; as `calibration`."""
    n = sum(sums.n)
    gaps = sum(abs(ones * SCALE - total) for ones, total in zip(sums.ones, sums.probability, strict=True))
    bins = zip(pairwise(EDGES), sums.n, sums.ones, sums.probability, strict=True)
    return Calibration(
        n=n,
        n_ones=sum(sums.ones),
        ece=gaps / (n * SCALE) if n else None,
        brier=sum(sums.squared_error) / (n * SCALE) if n else None,
        bins=tuple(
            CalibrationBin(*edges, count, total / (count * SCALE) if count else None, ones / count if count else None)
            for edges, count, ones, total in bins
        ),
        method=f"expected calibration error over {BINS} bins of equal width, and Brier score",
        reason=reasons({"no probabilities": not n}),
    )
