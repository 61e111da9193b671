"""Input of the statistics (checked arrays, complete pairs, mean and SD), and the base class of their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverspleen.evaluation.statistics.arrays import floats_of

Floats = NDArray[np.float64]

NOISE: Final = 1e-12
"""Largest relative difference that floating point can cause; a smaller spread counts as zero."""


@dataclass(frozen=True)
class Result:
    """A statistic, or a part of one; `None` is undefined, and `reason` of the statistic says why."""

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers at full precision, parts nested, ready for JSON; single observations are excluded."""
        return {
            item.name: _json_value(getattr(self, item.name)) for item in fields(self) if not item.metadata.get("raw")
        }


def reasons(undefined: Mapping[str, bool]) -> str | None:
    """Return the reasons whose condition is true, joined by `;`; None if there is none.

    >>> reasons({"no pairs": False, "all differences are equal": True})
    'all differences are equal'
    """
    return "; ".join(reason for reason, is_true in undefined.items() if is_true) or None


def raw() -> Any:
    """Return a field of a `Result` for single observations, which figures use."""
    return field(repr=False, metadata={"raw": True})


@dataclass(frozen=True)
class Pairs:
    """The complete pairs of two readings; `positions` are their indices in the input."""

    test: Floats
    reference: Floats
    positions: NDArray[np.intp]
    n_missing: int

    @property
    def magnitude(self) -> float:
        """Largest absolute value of all readings, 0 if there are none."""
        return float(max(np.abs(self.test).max(initial=0.0), np.abs(self.reference).max(initial=0.0)))

    def where(self, keep: NDArray[np.bool_]) -> Pairs:
        """Return the pairs for which `keep` is true."""
        return Pairs(self.test[keep], self.reference[keep], self.positions[keep], self.n_missing)


@dataclass(frozen=True)
class Description(Result):
    """Mean, sample SD (n - 1) and range of the defined values."""

    n: int
    n_missing: int
    mean: float | None
    sd: float | None
    minimum: float | None
    maximum: float | None
    method: str
    reason: str | None


def describe(values: ArrayLike) -> Description:
    """Compute mean, SD and range of `values`; NaN is excluded and counted. The SD needs two values.

    Raises:
        ValueError: `values` is not one-dimensional or contains an infinity.

    >>> describe([0.96, 0.98]).mean, describe([0.5]).sd
    (0.97, None)
    """
    sample = one_sample(values)
    defined = sample[~np.isnan(sample)]
    n = defined.size
    mean, sd = mean_and_sd(defined, float(np.abs(defined).max(initial=0.0)))
    return Description(
        n=n,
        n_missing=sample.size - n,
        mean=mean,
        sd=sd,
        minimum=float(defined.min()) if n else None,
        maximum=float(defined.max()) if n else None,
        method="mean, sample SD (n - 1) and range of the defined values",
        reason=None if n > 1 else "no defined values" if n == 0 else "only 1 value: the SD is undefined",
    )


def one_sample(values: ArrayLike) -> Floats:
    """Return `values` as a float64 array; missing values (see `floats_of`) are NaN.

    Raises:
        ValueError: `values` is not one-dimensional, or `floats_of` rejects it.
    """
    sample = floats_of(values)
    if sample.ndim != 1:
        raise ValueError(f"a sample has {sample.ndim} dimensions, expected 1")
    return sample


def complete_pairs(test: ArrayLike, reference: ArrayLike) -> Pairs:
    """Return the pairs with both readings present.

    Raises:
        ValueError: the two differ in length, or `one_sample` rejects one of them.

    >>> pairs = complete_pairs([1.0, None, 3.0], [2.0, 2.0, 4.0])
    >>> pairs.positions.tolist(), pairs.n_missing
    ([0, 2], 1)
    """
    first, second = one_sample(test), one_sample(reference)
    if first.size != second.size:
        raise ValueError(f"two samples have lengths {first.size} and {second.size}, expected the same length")
    present = ~(np.isnan(first) | np.isnan(second))
    return Pairs(first[present], second[present], np.flatnonzero(present), int((~present).sum()))


def mean_and_sd(sample: Floats, magnitude: float) -> tuple[float | None, float | None]:
    """Return mean and sample SD (n - 1); the SD is exactly 0 if values of this `magnitude` differ by rounding only."""
    if not sample.size:
        return None, None
    mean = float(sample.mean())
    if sample.size == 1:
        return mean, None
    return mean, 0.0 if float(np.ptp(sample)) <= NOISE * magnitude else float(sample.std(ddof=1))


def _json_value(value: Any) -> Any:
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_json_value(item) for item in value]
    return {key: _json_value(item) for key, item in value.items()} if isinstance(value, dict) else value
