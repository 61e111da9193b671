"""Effects of the factors of a grid: mean of each level, and paired differences from the stated level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from liverspleen.sweep.tables import FIXED


@dataclass(frozen=True)
class Estimate:
    """A mean of `n` values with its 95 % t interval; undefined values are NaN (interval: n < 2, mean: n = 0)."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """A level of a factor: mean score over its trials, and paired difference from the stated level.

    A pair is two trials that differ in this factor only. The difference of the stated level is None.
    """

    factor: str
    level: str
    score: Estimate
    difference: Estimate | None


@dataclass(frozen=True)
class Repeats:
    """A configuration trained with several fresh seeds; `sd` is between seeds, NaN for one seed."""

    configuration: str
    levels: tuple[str, ...]
    score: Estimate
    sd: float


def read_trials(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read trials.csv; return its rows and its factors. Levels are text."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    factors = [name for name in table.columns if name not in FIXED]
    for name in ("seconds", "dss", "dss_liver", "dss_spleen", "volume_bias_pct", "seconds_per_slice"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table, factors


def complete(trials: pd.DataFrame, phase: str) -> pd.DataFrame:
    """Return the complete trials of a phase that have a score."""
    return trials[(trials["phase"] == phase) & (trials["state"] == "complete") & trials["dss"].notna()]


def estimate(values: Sequence[float]) -> Estimate:
    """Return mean and t interval.

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
    """Return the effect of each level, in the order of the grid; `grid` has a row per configuration."""
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
    """Return the fraction of the sum of squares that each factor explains, and the residual SD.

    An additive model is fitted by least squares. The fraction of a factor is the increase of the residual sum of
    squares without it. The residuals are interactions and seeds. The results are NaN if all scores are
    equal, or if no degree of freedom remains.
    """
    scores = grid["dss"].to_numpy()
    total = float(np.sum((scores - scores.mean()) ** 2))
    residual, rank = _residual_squares(grid, factors)
    without = {factor: _residual_squares(grid, [name for name in factors if name != factor])[0] for factor in factors}
    explained = {factor: (value - residual) / total if total else math.nan for factor, value in without.items()}
    freedom = len(scores) - rank
    return explained, math.sqrt(max(residual, 0.0) / freedom) if freedom else math.nan


def _residual_squares(grid: pd.DataFrame, factors: Sequence[str]) -> tuple[float, int]:
    """Return the residual sum of squares of an additive model, and its rank."""
    columns = [np.ones(len(grid))]
    columns += [(grid[name] == level).to_numpy(float) for name in factors for level in dict.fromkeys(grid[name])]
    design, scores = np.column_stack(columns), grid["dss"].to_numpy()
    solution, _, rank, _ = np.linalg.lstsq(design, scores, rcond=None)
    return float(np.sum((scores - design @ solution) ** 2)), int(rank)


def repeats(trials: pd.DataFrame, factors: Sequence[str]) -> list[Repeats]:
    """Return the configurations that were trained with fresh seeds, best first."""
    found = []
    for configuration, rows in complete(trials, "confirm").groupby("configuration", sort=False):
        scores = rows["dss"].tolist()
        sd = float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan
        levels = tuple(rows.iloc[0][list(factors)])
        found.append(Repeats(str(configuration), levels, estimate(scores), sd))
    return sorted(found, key=lambda one: -one.score.mean)


def seed_sd(found: Sequence[Repeats]) -> float:
    """Return the pooled SD between seeds of a configuration; NaN if none has two seeds."""
    freedom = sum(one.score.n - 1 for one in found)
    squares = math.fsum(one.sd**2 * (one.score.n - 1) for one in found if one.score.n > 1)
    return math.sqrt(squares / freedom) if freedom else math.nan
