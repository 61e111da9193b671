"""Samples with the mean, SD, range and rank tests asked for."""

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
    """What is asked of the DSS of one group; an interval that is `FREE` asks for nothing."""

    n: int
    mean: Interval = FREE
    sd: Interval = FREE
    minimum: Interval = FREE
    maximum: Interval = FREE

    @property
    def ends(self) -> Interval:
        """Lowest and highest value: the middle of what is asked for, else what a DSS may be near its mean."""
        low = np.mean(self.minimum) if np.isfinite(self.minimum[0]) else np.mean(self.mean) - 0.05
        high = np.mean(self.maximum) if np.isfinite(self.maximum[0]) else (1 + np.mean(self.mean)) / 2
        return float(low), float(high)


def draw_groups(
    rng: np.random.Generator, groups: Mapping[str, Spread], whole: Spread | None = None
) -> dict[str, Floats]:
    """One sample for each group, its two ends among its values; `whole` asks for mean and SD of all groups together.

    Raises:
        InputError: LS-EXP-010 there is none, or none was found.
    """
    spreads = list(groups.values())
    starts = []
    for spread in spreads:
        low, high = spread.ends
        fraction = np.clip((np.mean(spread.mean) - low) / (high - low), 0.02, 0.98)
        starts.append(np.log(fraction / (1 - fraction)) + rng.standard_normal(spread.n - 2))
    places = [0, *np.cumsum([spread.n - 2 for spread in spreads])]

    def values_of(free: Samples) -> list[Samples]:
        samples = []
        for spread, (start, stop) in zip(spreads, pairwise(places), strict=True):
            low, high = spread.ends
            ends = np.tile(np.array([low, high], np.complex128), (len(free), 1))
            samples.append(np.concatenate([ends, low + (high - low) / (1 + np.exp(-free[:, start:stop]))], axis=1))
        return samples

    def statistics(free: Samples) -> Samples:
        samples = values_of(free)
        samples.append(np.concatenate(samples, axis=1))
        return np.stack([found for sample in samples for found in mean_and_sd(sample)], axis=1)

    asked = np.array([bounds for spread in (*spreads, whole or Spread(0)) for bounds in (spread.mean, spread.sd)])
    found = values_of(project(np.concatenate(starts), statistics, asked)[None, :].astype(np.complex128))
    return {name: sample[0].real for name, sample in zip(groups, found, strict=True)}


def mean_and_sd(samples: Samples) -> tuple[Samples, Samples]:
    """Mean and SD (n - 1) of each row, analytic in its values."""
    mean = samples.mean(axis=1)
    return mean, np.sqrt(((samples - mean[:, None]) ** 2).sum(axis=1) / (samples.shape[1] - 1))


def meet_kruskal_wallis(rng: np.random.Generator, groups: dict[str, Floats], p: Interval) -> dict[str, Floats]:
    """The groups with a p of Kruskal-Wallis inside `p`, and the mean, SD and ends that they have.

    Three values at a time turn on the circle of those with the same sum and the same sum of squares; what brings p
    nearer is kept.
    """
    names = list(groups)
    held = {name: sample.copy() for name, sample in groups.items()}
    bounds = {name: (sample.min(), sample.max()) for name, sample in groups.items()}

    def change() -> Callable[[], None] | None:
        sample = held[name := names[rng.integers(len(names))]]
        low, high = bounds[name]
        inner = np.flatnonzero((sample > low) & (sample < high))
        three = rng.choice(inner, 3, replace=False)
        old = sample[three].copy()
        new = _turned(old, rng.uniform(-np.pi, np.pi))
        if new.min() <= low or new.max() >= high:
            return None
        sample[three] = new
        return lambda: sample.__setitem__(three, old)

    _search(change, lambda: kruskal_wallis(held).p, p)
    return held


def meet_wilcoxon(rng: np.random.Generator, first: Floats, second: Floats, p: Interval) -> Floats:
    """`second` in an order in which the p of Wilcoxon's test against `first` lies inside `p`."""
    held = rng.permutation(second)

    def change() -> Callable[[], None]:
        two = rng.choice(held.size, 2, replace=False)
        held[two] = held[two[::-1]]
        return lambda: held.__setitem__(two, held[two[::-1]])

    _search(change, lambda: wilcoxon_signed_rank(first, held).p, p)
    return held


def _search(change: Callable[[], Callable[[], None] | None], p_of: Callable[[], float | None], p: Interval) -> None:
    """Make random changes and undo those that take p further from the middle of its interval, until it is inside."""
    if not np.isfinite(p[0]):
        return
    aim, enough = np.mean(p), 0.3 * (p[1] - p[0])
    best = abs((p_of() or 0.0) - aim)
    for _ in range(_TRIES):
        if best <= enough:
            return
        undo = change()
        if undo is None:
            continue
        distance = abs((p_of() or 0.0) - aim)
        if distance > best:
            undo()
        else:
            best = distance
    raise InputError(Issue("LS-EXP-010", f"no sample was found with a p from {p[0]} to {p[1]}", "relax it"))


def _turned(values: Floats, angle: float) -> Floats:
    """Three values turned about the diagonal: their sum and their sum of squares stay."""
    centred = values - values.mean()
    across = np.cross(np.ones(3) / np.sqrt(3), centred)
    return values.mean() + centred * np.cos(angle) + across * np.sin(angle)
