"""Tables of the results: DSS by corrections and minutes, differences, and corrections that reach a DSS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from loop import POLICIES, RANDOM
from numpy.typing import NDArray

from liverspleen.evaluation.statistics.intervals import mean_interval
from liverspleen.evaluation.statistics.seeds_and_cases import seed_case_difference, seed_case_mean

GOAL: Final = 0.6
"""Fraction of the corrections with which the DSS of random order after all of them is to be reached."""


def grids(scores: pd.DataFrame, policy: str) -> NDArray[np.float64]:
    """Return the mean DSS of both organs as rounds × seeds × cases; an undefined DSS counts as 0."""
    part = scores[scores["policy"] == policy]
    by_case = part.fillna({"dss": 0.0}).groupby(["round", "seed", "case_id"])["dss"].mean()
    return np.stack([by_case.loc[number].unstack("case_id").to_numpy() for number in sorted(part["round"].unique())])


def at(rounds: NDArray[np.float64], position: float) -> NDArray[np.float64]:
    """Return the values between two rounds, linear in the position.

    >>> at(np.array([[0.5], [0.7], [0.8]]), 1.5)
    array([0.75])
    """
    lower = min(int(position), len(rounds) - 2)
    return np.asarray(rounds[lower] + (position - lower) * (rounds[lower + 1] - rounds[lower]))


def reached(positions: Sequence[float], values: Sequence[float], target: float) -> float | None:
    """Return the first position at which linear interpolation reaches a value; None if it does not.

    >>> reached([0, 4, 8], [0.5, 0.7, 0.8], 0.75), reached([0, 4], [0.9, 0.9], 0.8), reached([0, 4], [0.5, 0.6], 0.8)
    (6.0, 0.0, None)
    """
    if values[0] >= target:
        return float(positions[0])
    for index in range(1, len(values)):
        if values[index] >= target:
            part = (target - values[index - 1]) / (values[index] - values[index - 1])
            return float(positions[index - 1] + part * (positions[index] - positions[index - 1]))
    return None


def curve_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean DSS of each policy and round with its 95 % interval over seeds and cases, and minutes."""
    rows = []
    for policy in POLICIES:
        costs = scores[scores["policy"] == policy].groupby("round")[["corrections", "minutes"]].mean()
        for number, grid in enumerate(grids(scores, policy)):
            mean = seed_case_mean(grid, fraction=True)
            about = {"policy": policy, "round": number, **costs.loc[number].to_dict()}
            by_seed = " ".join(f"{value:.4f}" for value in grid.mean(axis=1))
            rows.append({**about, "dss": mean.mean, **_limits(mean.mean_ci), "by_seed": by_seed})
    return pd.DataFrame(rows)


def difference_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return differences of DSS from random order with 95 % intervals: at equal rounds, and at the goal.

    The goal is `GOAL` of the corrections against all corrections in random order.
    """
    base = grids(scores, RANDOM)
    last = len(base) - 1
    rows = []
    for policy in POLICIES:
        own = grids(scores, policy)
        pairs = [(float(number), number) for number in range(1, last + 1) if policy != RANDOM]
        for position, other in [*pairs, (GOAL * last, last)]:
            first, second = at(own, position), base[other]
            found = seed_case_difference(first, second)
            by_seed = " ".join(f"{value:+.4f}" for value in first.mean(axis=1) - second.mean(axis=1))
            about = {"policy": policy, "round": position, "random_round": other, "difference": found.difference}
            rows.append({**about, **_limits(found.difference_ci), "by_seed": by_seed})
    return pd.DataFrame(rows)


def needed_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the corrections and of the minutes reaches the DSS of random order after all of them.

    `fraction` is of the mean over seeds. `by_seed` has the fraction of each seed against random order of the same seed,
    `-` if it is not reached; `lower` and `upper` are the t interval of their mean, undefined if one is not reached.
    """
    rows = []
    for unit in ("corrections", "minutes"):
        costs = {policy: _costs(scores, policy, unit) for policy in POLICIES}
        base = grids(scores, RANDOM).mean(axis=2)
        for policy in POLICIES:
            own, total = grids(scores, policy).mean(axis=2), costs[RANDOM][-1]
            found = [
                _fraction(costs[policy][:, seed], own[:, seed], base[-1, seed], total[seed])
                for seed in range(own.shape[1])
            ]
            whole = _fraction(costs[policy].mean(axis=1), own.mean(axis=1), base[-1].mean(), total.mean())
            known = [value for value in found if value is not None]
            interval = None
            if len(known) == len(found) > 1:
                interval = mean_interval(float(np.mean(known)), float(np.std(known, ddof=1)), len(known))
            shown = " ".join("-" if value is None else f"{value:.3f}" for value in found)
            about = {"unit": unit, "policy": policy, "fraction": whole, **_limits(interval)}
            rows.append({**about, "seeds": len(found), "seeds_reached": len(known), "by_seed": shown})
    return pd.DataFrame(rows)


def _fraction(costs: NDArray[np.float64], values: NDArray[np.float64], target: float, total: float) -> float | None:
    found = reached(costs.tolist(), values.tolist(), float(target))
    return None if found is None else found / float(total)


def _costs(scores: pd.DataFrame, policy: str, unit: str) -> NDArray[np.float64]:
    """Return the corrections or minutes as rounds × seeds."""
    part = scores[scores["policy"] == policy].drop_duplicates(["round", "seed"])
    return np.asarray(part.pivot_table(index="round", columns="seed", values=unit).to_numpy(), dtype=np.float64)


def _limits(interval: object) -> dict[str, float | None]:
    """Return the limits of an interval as columns; empty if it is undefined."""
    return {name: getattr(interval, name, None) for name in ("lower", "upper")}
