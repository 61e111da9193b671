"""Tables of the results: arms and their differences, and readers of one seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from trainings import FEW, MANY, PARENT, START

from liverspleen.evaluation.statistics.bland_altman import bland_altman
from liverspleen.evaluation.statistics.seeds_and_cases import seed_case_difference, seed_case_mean

POPULATIONS = ("new", "old")
DIFFERENCES = ((START, MANY), (START, FEW), (START, PARENT), (MANY, PARENT))
SINGLE = "single"


def grid(scores: pd.DataFrame, arm: str, population: str) -> NDArray[np.float64]:
    """Return the mean DSS of both organs as a table of seeds × cases."""
    part = scores[(scores["arm"] == arm) & scores["case_id"].str.startswith(population)]
    by_case = part.groupby(["seed", "case_id"])["dss"].mean()
    return by_case.unstack("case_id").to_numpy()


def arm_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean DSS of each arm and population with its 95 % interval over seeds and cases."""
    rows = []
    for arm in (PARENT, START, FEW, MANY):
        for population in POPULATIONS:
            found = grid(scores, arm, population)
            mean = seed_case_mean(found, fraction=True)
            rows.append(
                {
                    "arm": arm,
                    "population": population,
                    "seeds": mean.n_seeds,
                    "cases": mean.n_cases,
                    "dss": mean.mean,
                    **_limits(mean.mean_ci),
                    "by_seed": " ".join(f"{value:.4f}" for value in found.mean(axis=1)),
                }
            )
    return pd.DataFrame(rows)


def difference_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return differences of DSS between arms on the same cases, first minus second, with 95 % intervals."""
    rows = []
    for first, second in DIFFERENCES:
        for population in POPULATIONS:
            one, other = grid(scores, first, population), grid(scores, second, population)
            found = seed_case_difference(one, other)
            by_seed = one.mean(axis=1) - other.mean(axis=1)
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "population": population,
                    "difference": found.difference,
                    **_limits(found.difference_ci),
                    "by_seed": " ".join(f"{value:+.4f}" for value in by_seed),
                }
            )
    return pd.DataFrame(rows)


def reader_table(scores: pd.DataFrame, seconds: pd.DataFrame, readers: Sequence[str]) -> pd.DataFrame:
    """Return DSS, difference from the single model, volume bias, LOA and seconds of each reader on the new test cases.

    The interval of the difference is the t interval of the paired differences. Bias and LOA are in percent of the mean
    of both volumes.
    """
    scores = scores[scores["case_id"].str.startswith("new")]
    rows = []
    for structure in ("liver", "spleen"):
        part = scores[scores["structure"] == structure].set_index("case_id")
        single = part[part["reader"] == SINGLE]["dss"]
        for reader in readers:
            own = part[part["reader"] == reader]
            paired = bland_altman(own["dss"].to_numpy(), single.loc[own.index].to_numpy())
            volumes = bland_altman(own["volume_cm3"].to_numpy(), own["reference_cm3"].to_numpy(), scale="percent")
            rows.append(
                {
                    "structure": structure,
                    "reader": reader,
                    "n": paired.n,
                    "dss": own["dss"].mean(),
                    "difference": paired.bias,
                    **_limits(None if paired.intervals is None else paired.intervals.bias_ci),
                    "volume_bias_pct": volumes.bias,
                    "loa_lower_pct": None if volumes.limits is None else volumes.limits.lower,
                    "loa_upper_pct": None if volumes.limits is None else volumes.limits.upper,
                    "seconds": seconds[seconds["reader"] == reader]["seconds"].mean(),
                }
            )
    return pd.DataFrame(rows)


def _limits(interval: object) -> dict[str, float | None]:
    """Return the limits of an interval as columns; empty if it is undefined."""
    return {name: getattr(interval, name, None) for name in ("lower", "upper")}
