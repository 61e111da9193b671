"""Volumes by two readers with target agreement, and of two CT scans with target reproducibility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from projection import Floats, Samples, project
from samples import FREE, Interval, mean_and_sd

from liverspleen.evaluation.statistics.intervals import LOA_MULTIPLIER, sd_interval
from liverspleen.evaluation.statistics.reproducibility import RC_QUANTILE

INDICES = ("liver", "spleen", "ratio")


@dataclass(frozen=True)
class Agreement:
    """Target statistics of the percent differences of one index; `FREE` is no condition."""

    bias: Interval = FREE
    half_width: Interval = FREE
    p: Interval = FREE

    def intervals(self, n: int) -> list[Interval]:
        """Return the intervals of mean, SD and squared t of n differences."""
        from scipy.stats import t

        low, high = self.half_width
        squared = FREE
        if np.isfinite(self.p).all():
            squared = tuple(t.isf(p / 2, n - 1) ** 2 for p in reversed(self.p))
        return [self.bias, (low / LOA_MULTIPLIER, high / LOA_MULTIPLIER), squared]


@dataclass(frozen=True)
class Reproducibility:
    """Target statistics of the %RC of one index and one reader."""

    rc_pct: Interval = FREE
    ci_lower: Interval = FREE
    ci_upper: Interval = FREE


def ceiling_pct(dss: Floats) -> Floats:
    """Return the largest percent difference of two volumes whose masks have this DSS.

    DSS = 2 TP / (V1 + V2) with TP at most the smaller of the two, so |V1 - V2| / (V1 + V2) is at most 1 - DSS.
    """
    return np.asarray(200 * (1 - dss))


def sample_differences(
    rng: np.random.Generator, dss: Floats, groups: Sequence[tuple[NDArray[np.intp], Mapping[str, Agreement]]]
) -> Floats:
    """Return percent differences of liver and spleen, (2, n), within the limits of the DSS, (2, n).

    A group is the positions of its cases and the target agreement of `INDICES`; groups may overlap.

    Raises:
        InputError: LS-EXP-010, no such differences were found.
    """
    ceilings = _largest_pct(dss)

    def statistics(free: Samples) -> Samples:
        pct = _with_ratio(ceilings * np.tanh(free.reshape(-1, *ceilings.shape)))
        return np.stack([s for cases, _ in groups for index in range(3) for s in _agreement(pct[index][:, cases])], 1)

    targets = [target for cases, agreement in groups for i in INDICES for target in agreement[i].intervals(len(cases))]
    found = project(0.4 * rng.standard_normal(ceilings.size), statistics, np.array(targets))
    return np.asarray(ceilings * np.tanh(found.reshape(ceilings.shape)))


@dataclass(frozen=True)
class Repeats:
    """Measurements of n patients with two CT scans.

    `differences_pct` is between the readers, (site, organ, n); `log_change` is ln(external / internal) of the
    volumes of the reference, (organ, n).
    """

    differences_pct: Floats
    log_change: Floats


def sample_repeats(
    rng: np.random.Generator,
    dss: Floats,
    agreement: Sequence[Mapping[str, Agreement]],
    reproducibility: Sequence[Mapping[str, Reproducibility]],
) -> Repeats:
    """Return measurements of two CT scans by two readers, from the DSS, (site, organ, n), of both scans.

    `agreement` has the targets of each site, `reproducibility` those of the reader under test and of the reference.

    Raises:
        InputError: LS-EXP-010, no such measurements were found.
    """
    ceilings = _largest_pct(dss)
    n = ceilings.shape[-1]
    lower, upper = sd_interval(1.0, n)

    def parts(free: Samples) -> tuple[Samples, Samples]:
        bounded = ceilings * np.tanh(free[:, : ceilings.size].reshape(-1, *ceilings.shape))
        return bounded, free[:, ceilings.size :].reshape(-1, 2, n)

    def statistics(free: Samples) -> Samples:
        pct, change = parts(free)
        found = [s for site in range(2) for values in _with_ratio(pct[:, site]) for s in _agreement(values)]
        logs = 2 * np.arctanh(pct / 200)
        for changes in (change + logs[:, 0] - logs[:, 1], change):
            for log in (changes[:, 0], changes[:, 1], changes[:, 0] - changes[:, 1]):
                rc = RC_QUANTILE * np.sqrt(((200 * np.tanh(log / 2)) ** 2).mean(axis=1))
                found += [rc, lower * rc, upper * rc]
        return np.stack(found, axis=1)

    targets = [target for site in agreement for index in INDICES for target in site[index].intervals(n)]
    for reader in reproducibility:
        targets += [b for i in INDICES for b in (reader[i].rc_pct, reader[i].ci_lower, reader[i].ci_upper)]
    start = np.concatenate([0.4 * rng.standard_normal(ceilings.size), 0.09 * rng.standard_normal(2 * n)])
    differences, change = parts(project(start, statistics, np.array(targets))[None, :].astype(np.complex128))
    return Repeats(differences[0].real, change[0].real)


def other_volume(volume: Floats, difference_pct: Floats) -> Floats:
    """Return the volume that differs from `volume` by this percentage of the mean of both.

    >>> float(other_volume(np.array([90.0]), np.array([20.0]))[0])
    110.0
    """
    return np.asarray(volume * (200 + difference_pct) / (200 - difference_pct))


def _largest_pct(dss: Floats) -> Floats:
    return 0.98 * ceiling_pct(dss)


def _with_ratio(pct: Samples) -> list[Samples]:
    """Return percent differences of liver, spleen and their ratio, (m, n) each, from (m, 2, n).

    With x = difference / 200 = tanh(log ratio / 2), x of the liver/spleen ratio is tanh of a difference of logarithms.
    """
    liver, spleen = pct[:, 0], pct[:, 1]
    return [liver, spleen, (liver - spleen) / (1 - liver * spleen / 200**2)]


def _agreement(samples: Samples) -> list[Samples]:
    """Return mean, SD and squared t of each row."""
    mean, sd = mean_and_sd(samples)
    return [mean, sd, samples.shape[1] * (mean / sd) ** 2]
