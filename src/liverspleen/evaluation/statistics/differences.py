"""Paired differences on the absolute, percent and log scale; each scale excludes pairs without a difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.statistics.samples import Floats, Pairs, complete_pairs, mean_and_sd

Scale = Literal["absolute", "percent", "log"]

UNITS: Final[dict[str, str]] = {"absolute": "as given", "percent": "%", "log": "ln(test / reference)"}
DEFINITIONS: Final[dict[str, str]] = {
    "absolute": "differences test - reference",
    "percent": "percent differences 200 (test - reference) / (test + reference)",
    "log": "log ratios ln(test / reference)",
}


@dataclass(frozen=True)
class Differences:
    """The differences of complete pairs, their mean and SD (n - 1, exactly 0 if they differ by rounding only)."""

    pairs: Pairs
    values: Floats
    n_undefined: int
    mean: float | None
    sd: float | None
    magnitude: float
    """of the values whose rounding the differences contain"""

    @property
    def n_given(self) -> int:
        """Number of pairs in the input, with those that are not used."""
        return self.n + self.n_undefined + self.pairs.n_missing

    @property
    def n(self) -> int:
        """Number of pairs used."""
        return self.values.size

    @property
    def averages(self) -> Floats:
        """The mean of the two readings of each pair, in the units of the readings on every scale."""
        return np.asarray((self.pairs.test + self.pairs.reference) / 2, dtype=np.float64)


def paired_differences(test: ArrayLike, reference: ArrayLike, *, scale: Scale) -> Differences:
    """Compute the differences of `test` and `reference` (n values each) on `scale`.

    Pairs with NaN are excluded and counted, as are pairs without a difference on the scale: the percent difference is
    undefined if the sum of the two is zero, the log ratio if a reading is not positive.

    Raises:
        ValueError: the two differ in length, are not one-dimensional, contain an infinity, or the scale is unknown.

    >>> sample = paired_differences([110.0, 0.0], [90.0, 0.0], scale="percent")
    >>> sample.values.tolist(), sample.n_undefined
    ([20.0], 1)
    """
    if scale not in UNITS:
        raise ValueError(f"scale {scale!r} is not one of {', '.join(UNITS)}")
    complete = complete_pairs(test, reference)
    pairs = complete.where(_has_difference(complete, scale))
    # The magnitude determines the rounding noise of the differences.
    if scale == "absolute":
        values, magnitude = pairs.test - pairs.reference, pairs.magnitude
    elif scale == "percent":
        values, magnitude = 200 * (pairs.test - pairs.reference) / (pairs.test + pairs.reference), 200.0
    else:
        values, magnitude = np.log(pairs.test) - np.log(pairs.reference), 2.0
    mean, sd = mean_and_sd(values, magnitude)
    return Differences(pairs, values, complete.test.size - values.size, mean, sd, magnitude)


def _has_difference(pairs: Pairs, scale: Scale) -> NDArray[np.bool_]:
    if scale == "percent":
        return np.asarray(pairs.test + pairs.reference != 0)
    if scale == "log":
        return np.asarray((pairs.test > 0) & (pairs.reference > 0))
    return np.ones(pairs.test.size, dtype=np.bool_)
