"""What each factor of a grid is worth: means over the others, and paired differences from the level that is stated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

LAST_FIXED_COLUMN = "seconds_per_slice"
"""Of trials.csv; those of the searched parameters follow."""


@dataclass(frozen=True)
class Estimate:
    """A mean of `n` values with its 95 % t interval; the interval is NaN below two values, all of it without one."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """A level of a factor: mean score over the trials that have it, and paired difference from the stated level.

    A pair are two trials that differ in this factor only. The stated level's own difference is None.
    """

    factor: str
    level: str
    score: Estimate
    difference: Estimate | None


@dataclass(frozen=True)
class Repeats:
    """A configuration trained with several fresh seeds; `sd` is that between seeds, NaN below two."""

    configuration: str
    levels: tuple[str, ...]
    score: Estimate
    sd: float


def read_trials(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """The rows of trials.csv, and its factors; levels are text."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    factors = list(table.columns[table.columns.get_loc(LAST_FIXED_COLUMN) + 1 :])
    for name in ("seconds", "dss", "dss_liver", "dss_spleen", "volume_bias_pct", LAST_FIXED_COLUMN):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table, factors


def complete(trials: pd.DataFrame, phase: str) -> pd.DataFrame:
    """Finished trials of a phase with a score."""
    return trials[(trials["phase"] == phase) & (trials["state"] == "complete") & trials["dss"].notna()]


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and t interval.

    >>> found = estimate([1.0, 2.0, 3.0])
    >>> found.mean, round(found.high - 2, 3)  # 4.303 / sqrt(3)
    (2.0, 2.484)
    """
    n = len(values)
    if n == 0:
        return Estimate(0, math.nan, math.nan, math.nan)
    mean = float(np.mean(values))
    half = t.ppf(0.975, n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Estimate(n, mean, mean - half, mean + half)


def effects(grid: pd.DataFrame, factors: Sequence[str], stated: Mapping[str, str]) -> list[Effect]:
    """Every level of every factor, levels in the order of the grid; `grid` has a row per configuration."""
    found = []
    for factor in factors:
        others = [name for name in factors if name != factor]
        wide = grid.pivot(index=others, columns=factor, values="dss")
        for level in dict.fromkeys(grid[factor]):
            pairs: pd.Series | None = None
            if stated[factor] != level and stated[factor] in wide:
                pairs = (wide[level] - wide[stated[factor]]).dropna()
            score = estimate(grid.loc[grid[factor] == level, "dss"].tolist())
            found.append(Effect(factor, level, score, None if pairs is None else estimate(pairs.tolist())))
    return found


def fractions(grid: pd.DataFrame, factors: Sequence[str]) -> tuple[dict[str, float], float]:
    """Share of the scores' sum of squares that each factor explains alone, beside the others; SD of what is left.

    By least squares on the levels: what a factor explains is what is lost without it. What is left are interactions
    and seeds. NaN where the scores do not differ, or nothing is left to estimate the SD from.
    """
    scores = grid["dss"].to_numpy()
    total = float(np.sum((scores - scores.mean()) ** 2))
    left, rank = _unexplained(grid, factors)
    without = {factor: _unexplained(grid, [name for name in factors if name != factor])[0] for factor in factors}
    explained = {factor: (value - left) / total if total else math.nan for factor, value in without.items()}
    freedom = len(scores) - rank
    return explained, math.sqrt(max(left, 0.0) / freedom) if freedom else math.nan


def _unexplained(grid: pd.DataFrame, factors: Sequence[str]) -> tuple[float, int]:
    """Residual sum of squares of an additive model, and its rank."""
    columns = [np.ones(len(grid))]
    columns += [(grid[name] == level).to_numpy(float) for name in factors for level in dict.fromkeys(grid[name])]
    design, scores = np.column_stack(columns), grid["dss"].to_numpy()
    solution, _, rank, _ = np.linalg.lstsq(design, scores, rcond=None)
    return float(np.sum((scores - design @ solution) ** 2)), int(rank)


def repeats(trials: pd.DataFrame, factors: Sequence[str]) -> list[Repeats]:
    """The configurations that were trained again, best first."""
    found = []
    for configuration, rows in complete(trials, "confirm").groupby("configuration", sort=False):
        scores = rows["dss"].tolist()
        sd = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
        levels = tuple(rows.iloc[0][list(factors)])
        found.append(Repeats(str(configuration), levels, estimate(scores), sd))
    return sorted(found, key=lambda one: -one.score.mean)


def seed_sd(found: Sequence[Repeats]) -> float:
    """SD between seeds of one configuration, pooled; NaN if none has two."""
    freedom = sum(one.score.n - 1 for one in found)
    squares = math.fsum(one.sd**2 * (one.score.n - 1) for one in found if one.score.n > 1)
    return math.sqrt(squares / freedom) if freedom else math.nan
