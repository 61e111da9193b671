"""Checks of repeated measurements of the same subjects, and within-subject variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.statistics.arrays import floats_of
from liverspleen.evaluation.statistics.samples import NOISE, Floats


@dataclass(frozen=True)
class Repeats:
    """The subjects with at least two repeats and a nonzero mean; a missing repeat in `values` (n × K) is NaN.

    `positions` are the indices of the subjects in the input; `n_missing` counts subjects with fewer than two repeats,
    `n_undefined` those whose mean is zero.
    """

    values: Floats
    positions: NDArray[np.intp]
    n_missing: int
    n_undefined: int

    @property
    def n(self) -> int:
        """Number of subjects."""
        return len(self.values)

    @property
    def df(self) -> Floats:
        """Degrees of freedom of each subject: number of repeats minus one."""
        return np.asarray((~np.isnan(self.values)).sum(axis=1) - 1, dtype=np.float64)

    @property
    def means(self) -> Floats:
        """Mean of each subject."""
        return np.asarray(np.nansum(self.values, axis=1) / (self.df + 1), dtype=np.float64)

    @property
    def balanced(self) -> bool:
        """Whether every subject has every repeat."""
        return not np.isnan(self.values).any()

    def where(self, keep: NDArray[np.bool_]) -> Repeats:
        """Return the subjects for which `keep` is true; the others count as undefined."""
        undefined = self.n_undefined + int((~keep).sum())
        return Repeats(self.values[keep], self.positions[keep], self.n_missing, undefined)


def repeats_of(values: ArrayLike) -> Repeats:
    """Return the repeats of subjects from an n × K table; NaN and None are missing.

    Raises:
        ValueError: `values` is not two-dimensional with at least two columns, not numeric, or contains an infinity.

    >>> repeats = repeats_of([[90.0, 110.0, None], [5.0, None, None]])
    >>> repeats.n, repeats.n_missing, repeats.df.tolist(), repeats.means.tolist()
    (1, 1, [1.0], [100.0])
    """
    table = floats_of(values, "a table of repeats")
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"repeats have shape {table.shape}, expected a table of subjects × at least 2 repeats")
    enough = (~np.isnan(table)).sum(axis=1) >= 2
    repeats = Repeats(table[enough], np.flatnonzero(enough), int((~enough).sum()), 0)
    return repeats.where(repeats.means != 0)


def within_variances(values: Floats) -> Floats:
    """Return the variance of the repeats of each subject (row, n - 1), exactly 0 if they differ by rounding only."""
    if not values.size:
        return np.empty(0)
    count = (~np.isnan(values)).sum(axis=1)
    # Relative to the first repeat: equal repeats give exactly 0, two repeats d²/2 without rounding of their mean.
    shifted = values - values[np.arange(len(values)), np.argmin(np.isnan(values), axis=1)][:, None]
    deviations = shifted - (np.nansum(shifted, axis=1) / count)[:, None]
    spread = np.nanmax(values, axis=1) - np.nanmin(values, axis=1)
    flat = spread <= NOISE * np.nanmax(np.abs(values), axis=1)
    return np.where(flat, 0.0, np.nansum(deviations**2, axis=1) / (count - 1))
