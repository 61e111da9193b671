"""Samples as the statistics take them: checked arrays, complete pairs, mean and SD; and what a result object can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

NOISE: Final = 1e-12
"""Relative size of a difference that floating point alone can make; a smaller spread is no spread."""


@dataclass(frozen=True)
class Result:
    """A statistic, or a named part of one; `None` stands for undefined, and the whole's `reason` says why."""

    def to_dict(self) -> dict[str, Any]:
        """Every number at full precision, parts nested, ready for JSON; the single observations are left out."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self) if not item.metadata.get("raw")}


def reasons(undefined: Mapping[str, bool]) -> str | None:
    """The reasons that hold, as one sentence; None if none does.

    >>> reasons({"no pair": False, "no spread: d_z is undefined": True})
    'no spread: d_z is undefined'
    """
    return "; ".join(reason for reason, holds in undefined.items() if holds) or None


def raw() -> Any:
    """A field of a `Result` that holds single observations, for figures and tracing."""
    return field(repr=False, metadata={"raw": True})


@dataclass(frozen=True)
class Pairs:
    """The complete pairs of two readings; `positions` tells where in the input each stood."""

    test: Floats
    reference: Floats
    positions: NDArray[np.intp]
    n_missing: int

    @property
    def magnitude(self) -> float:
        """Largest absolute value among all readings, 0 without any."""
        return float(max(np.abs(self.test).max(initial=0.0), np.abs(self.reference).max(initial=0.0)))

    def where(self, keep: NDArray[np.bool_]) -> Pairs:
        """The pairs that are kept."""
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
    """Mean, SD and range of `values`; NaN is left out and counted. The SD needs two values.

    Raises:
        ValueError: `values` is not one-dimensional or holds an infinity.

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
        reason=None if n > 1 else "no defined value" if n == 0 else "one value has no SD",
    )


def one_sample(values: ArrayLike) -> Floats:
    """`values` as a float64 array; NaN and None are missing.

    Raises:
        ValueError: it is not one-dimensional, not numeric, or holds an infinity.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1:
        raise ValueError(f"a sample has one dimension, not {sample.ndim}")
    if np.isinf(sample).any():
        raise ValueError("a sample holds finite values and NaN, no infinity")
    return sample


def complete_pairs(test: ArrayLike, reference: ArrayLike) -> Pairs:
    """The pairs with both readings present.

    Raises:
        ValueError: the two differ in length, or `one_sample` rejects one of them.

    >>> pairs = complete_pairs([1.0, None, 3.0], [2.0, 2.0, 4.0])
    >>> pairs.positions.tolist(), pairs.n_missing
    ([0, 2], 1)
    """
    first, second = one_sample(test), one_sample(reference)
    if first.size != second.size:
        raise ValueError(f"pairs need two samples of one length, not {first.size} and {second.size}")
    present = ~(np.isnan(first) | np.isnan(second))
    return Pairs(first[present], second[present], np.flatnonzero(present), int((~present).sum()))


def mean_and_sd(sample: Floats, magnitude: float) -> tuple[float | None, float | None]:
    """Mean and sample SD (n - 1); the SD is exactly 0 where only rounding at this `magnitude` tells values apart."""
    if not sample.size:
        return None, None
    mean = float(sample.mean())
    if sample.size == 1:
        return mean, None
    return mean, 0.0 if float(np.ptp(sample)) <= NOISE * magnitude else float(sample.std(ddof=1))


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
