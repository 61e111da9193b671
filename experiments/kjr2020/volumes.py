"""Volumes of two readers with the agreement, and of two CT with the reproducibility, that are asked for."""

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
    """What is asked of the percent differences of one index over some cases; `FREE` asks for nothing."""

    bias: Interval = FREE
    half_width: Interval = FREE
    p: Interval = FREE

    def intervals(self, n: int) -> list[Interval]:
        """Those of mean, SD and squared t of n differences."""
        from scipy.stats import t

        low, high = self.half_width
        squared = FREE
        if np.isfinite(self.p).all():
            squared = tuple(t.isf(p / 2, n - 1) ** 2 for p in reversed(self.p))
        return [self.bias, (low / LOA_MULTIPLIER, high / LOA_MULTIPLIER), squared]


@dataclass(frozen=True)
class Reproducibility:
    """What is asked of the percentage RC of one index and one reader."""

    rc_pct: Interval = FREE
    ci_lower: Interval = FREE
    ci_upper: Interval = FREE


def ceiling_pct(dss: Floats) -> Floats:
    """The largest percent difference of two volumes whose masks have this DSS.

    DSS = 2 TP / (V1 + V2) with TP at most the smaller of the two, so |V1 - V2| / (V1 + V2) is at most 1 - DSS.
    """
    return np.asarray(200 * (1 - dss))


def draw_differences(
    rng: np.random.Generator, dss: Floats, groups: Sequence[tuple[NDArray[np.intp], Mapping[str, Agreement]]]
) -> Floats:
    """Percent differences of liver and spleen, (2, n), none beyond what its DSS, (2, n), allows.

    Each group is the positions of its cases and what is asked of `INDICES` there; groups may overlap.

    Raises:
        InputError: LS-EXP-010 they were not found.
    """
    ceilings = _inside(dss)

    def statistics(free: Samples) -> Samples:
        pct = _with_ratio(ceilings * np.tanh(free.reshape(-1, *ceilings.shape)))
        return np.stack([s for cases, _ in groups for index in range(3) for s in _agreement(pct[index][:, cases])], 1)

    asked = [bounds for cases, wanted in groups for index in INDICES for bounds in wanted[index].intervals(len(cases))]
    found = project(0.4 * rng.standard_normal(ceilings.size), statistics, np.array(asked))
    return np.asarray(ceilings * np.tanh(found.reshape(ceilings.shape)))


@dataclass(frozen=True)
class Repeats:
    """Readings of n patients with two CT.

    `differences_pct` are those of the readers, (site, organ, n); `log_change` is ln(external / internal) of the
    volumes of the reference, (organ, n).
    """

    differences_pct: Floats
    log_change: Floats


def draw_repeats(
    rng: np.random.Generator,
    dss: Floats,
    agreement: Sequence[Mapping[str, Agreement]],
    reproducibility: Sequence[Mapping[str, Reproducibility]],
) -> Repeats:
    """Two readings of two CT of each patient, from DSS (site, organ, n) of the external and the internal CT.

    `agreement` is asked for by site, `reproducibility` of the reader under test and of its reference.

    Raises:
        InputError: LS-EXP-010 they were not found.
    """
    ceilings = _inside(dss)
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

    asked = [bounds for site in agreement for index in INDICES for bounds in site[index].intervals(n)]
    for reader in reproducibility:
        asked += [b for i in INDICES for b in (reader[i].rc_pct, reader[i].ci_lower, reader[i].ci_upper)]
    start = np.concatenate([0.4 * rng.standard_normal(ceilings.size), 0.09 * rng.standard_normal(2 * n)])
    differences, change = parts(project(start, statistics, np.array(asked))[None, :].astype(np.complex128))
    return Repeats(differences[0].real, change[0].real)


def other_volume(volume: Floats, difference_pct: Floats) -> Floats:
    """The volume that differs from `volume` by so many percent of the mean of the two.

    >>> float(other_volume(np.array([90.0]), np.array([20.0]))[0])
    110.0
    """
    return np.asarray(volume * (200 + difference_pct) / (200 - difference_pct))


def _inside(dss: Floats) -> Floats:
    return 0.98 * ceiling_pct(dss)


def _with_ratio(pct: Samples) -> list[Samples]:
    """Percent differences of liver, spleen and their ratio, (m, n) each, from (m, 2, n).

    With x = difference / 200 = tanh(log ratio / 2), that of the ratio is tanh of a difference of logarithms.
    """
    liver, spleen = pct[:, 0], pct[:, 1]
    return [liver, spleen, (liver - spleen) / (1 - liver * spleen / 200**2)]


def _agreement(samples: Samples) -> list[Samples]:
    """Mean, SD and squared t of each row."""
    mean, sd = mean_and_sd(samples)
    return [mean, sd, samples.shape[1] * (mean / sd) ** 2]
