"""Random samples with target mean, SD, range and rank tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from projection import Samples, project

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation import kruskal_wallis, wilcoxon_signed_rank

Floats = NDArray[np.float64]
Interval = tuple[float, float]
FREE: Interval = (-np.inf, np.inf)

_TRIES = 50_000


@dataclass(frozen=True)
class Spread:
    """Target statistics of the DSS of one group; `FREE` is no condition."""

    n: int
    mean: Interval = FREE
    sd: Interval = FREE
    minimum: Interval = FREE
    maximum: Interval = FREE

    @property
    def ends(self) -> Interval:
        """Lowest and highest value: the middle of the target, else a plausible value for the mean."""
        low = np.mean(self.minimum) if np.isfinite(self.minimum[0]) else np.mean(self.mean) - 0.05
        high = np.mean(self.maximum) if np.isfinite(self.maximum[0]) else (1 + np.mean(self.mean)) / 2
        return float(low), float(high)


def sample_groups(
    rng: np.random.Generator, groups: Mapping[str, Spread], whole: Spread | None = None
) -> dict[str, Floats]:
    """Return one sample for each group, which contains its ends; `whole` is the target for all groups together.

    Raises:
        InputError: LS-EXP-010, no such samples were found.
    """
    spreads = list(groups.values())
    starts = []
    for spread in spreads:
        low, high = spread.ends
        fraction = np.clip((np.mean(spread.mean) - low) / (high - low), 0.02, 0.98)
        starts.append(np.log(fraction / (1 - fraction)) + rng.standard_normal(spread.n - 2))
    bounds = [0, *np.cumsum([spread.n - 2 for spread in spreads])]

    def values_of(free: Samples) -> list[Samples]:
        samples = []
        for spread, (start, stop) in zip(spreads, pairwise(bounds), strict=True):
            low, high = spread.ends
            ends = np.tile(np.array([low, high], np.complex128), (len(free), 1))
            samples.append(np.concatenate([ends, low + (high - low) / (1 + np.exp(-free[:, start:stop]))], axis=1))
        return samples

    def statistics(free: Samples) -> Samples:
        samples = values_of(free)
        samples.append(np.concatenate(samples, axis=1))
        return np.stack([found for sample in samples for found in mean_and_sd(sample)], axis=1)

    targets = np.array([target for spread in (*spreads, whole or Spread(0)) for target in (spread.mean, spread.sd)])
    found = values_of(project(np.concatenate(starts), statistics, targets)[None, :].astype(np.complex128))
    return {name: sample[0].real for name, sample in zip(groups, found, strict=True)}


def mean_and_sd(samples: Samples) -> tuple[Samples, Samples]:
    """Return mean and SD (n - 1) of each row, analytic in its values."""
    mean = samples.mean(axis=1)
    return mean, np.sqrt(((samples - mean[:, None]) ** 2).sum(axis=1) / (samples.shape[1] - 1))


def match_kruskal_wallis(rng: np.random.Generator, groups: dict[str, Floats], p: Interval) -> dict[str, Floats]:
    """Return the groups with the p value of Kruskal-Wallis in `p`; mean, SD and ends do not change.

    Random changes move three values on the circle of equal sum and equal sum of squares. Changes that move the p value
    away from the target are undone.
    """
    names = list(groups)
    current = {name: sample.copy() for name, sample in groups.items()}
    bounds = {name: (sample.min(), sample.max()) for name, sample in groups.items()}

    def change() -> Callable[[], None] | None:
        sample = current[name := names[rng.integers(len(names))]]
        low, high = bounds[name]
        inner = np.flatnonzero((sample > low) & (sample < high))
        three = rng.choice(inner, 3, replace=False)
        old = sample[three].copy()
        new = _rotated(old, rng.uniform(-np.pi, np.pi))
        if new.min() <= low or new.max() >= high:
            return None
        sample[three] = new
        return lambda: sample.__setitem__(three, old)

    _search(change, lambda: kruskal_wallis(current).p, p)
    return current


def match_wilcoxon(rng: np.random.Generator, first: Floats, second: Floats, p: Interval) -> Floats:
    """Return `second` in an order for which the p value of Wilcoxon's test with `first` is in `p`."""
    order = rng.permutation(second)

    def change() -> Callable[[], None]:
        two = rng.choice(order.size, 2, replace=False)
        order[two] = order[two[::-1]]
        return lambda: order.__setitem__(two, order[two[::-1]])

    _search(change, lambda: wilcoxon_signed_rank(first, order).p, p)
    return order


def _search(change: Callable[[], Callable[[], None] | None], p_of: Callable[[], float | None], p: Interval) -> None:
    """Make random changes and undo those that move the p value away from its target, until it is in the interval."""
    if not np.isfinite(p[0]):
        return
    target, enough = np.mean(p), 0.3 * (p[1] - p[0])
    best = abs((p_of() or 0.0) - target)
    for _ in range(_TRIES):
        if best <= enough:
            return
        undo = change()
        if undo is None:
            continue
        distance = abs((p_of() or 0.0) - target)
        if distance > best:
            undo()
        else:
            best = distance
    raise InputError(
        Issue("LS-EXP-010", f"no sample found with a p value from {p[0]} to {p[1]}", "use a wider interval")
    )


def _rotated(values: Floats, angle: float) -> Floats:
    """Return three values rotated about the diagonal: their sum and their sum of squares do not change."""
    centred = values - values.mean()
    across = np.cross(np.ones(3) / np.sqrt(3), centred)
    return values.mean() + centred * np.cos(angle) + across * np.sin(angle)
