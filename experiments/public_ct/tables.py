"""Tables of the results: arms, differences of arms on the same test patients, and times.

All statistics are those of `liverspleen.evaluation`. Examinations of a patient are averaged first. With one seed an
interval is Student's t interval over patients; with several it contains other seeds, too (`seeds_and_cases`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from plan import AS_IS, NNUNET, NNUNET_TIME, SCRATCH, START

from liverspleen.evaluation import Interval, bland_altman, bootstrap_ci
from liverspleen.evaluation.statistics.seeds_and_cases import seed_case_difference, seed_case_mean
from liverspleen.organs import ORGAN_KEYS

BOTH: Final = "both"
"""The mean of all organs of a case."""

STRUCTURES: Final = (*ORGAN_KEYS, BOTH)

PAIRS: Final = (
    (SCRATCH, AS_IS, "test patients"),
    (START, AS_IS, "test patients"),
    (START, SCRATCH, "slices"),
    (SCRATCH, NNUNET, "slices"),
    (START, NNUNET, "slices"),
    (START, NNUNET_TIME, "time"),
)
"""First minus second, and what is equal. Trainings of a pair have the same training patients; training from the start
model is also compared with training from scratch with twice as many."""

_FEW_RESAMPLES: Final = 1000  # of the bootstrap, whose interval is not used


@dataclass(frozen=True)
class Estimate:
    """A mean or a difference with its 95 % interval; `reason` says why something is undefined."""

    n_seeds: int
    n_patients: int
    n_excluded: int
    """patients without a score in one of the seeds or arms"""
    value: float | None
    ci: Interval | None
    reason: str | None

    def columns(self, name: str) -> dict[str, object]:
        """Return the columns of a table."""
        lower, upper = (None, None) if self.ci is None else self.ci
        return {
            "seeds": self.n_seeds,
            "patients": self.n_patients,
            "excluded": self.n_excluded,
            name: self.value,
            "lower": lower,
            "upper": upper,
            "reason": self.reason,
        }


def grid(rows: pd.DataFrame, structure: str) -> pd.DataFrame:
    """Return the DSS as a table of seeds × patients; NaN is undefined."""
    wide = rows.set_index(["seed", "patient_id", "case_id", "structure"])["dss"].unstack("structure")
    values = wide[[*ORGAN_KEYS]].mean(axis=1, skipna=False) if structure == BOTH else wide[structure]
    return values.groupby(level=["seed", "patient_id"]).mean().unstack("patient_id")


def mean_dss(rows: pd.DataFrame, structure: str) -> Estimate:
    """Return the mean DSS of an arm with its interval on the scale of the logit."""
    scores = grid(rows, structure)
    complete = scores.dropna(axis="columns")
    number = (len(complete), complete.shape[1], scores.shape[1] - complete.shape[1])
    if complete.empty:
        return Estimate(*number, None, None, "no patient has a score in every seed")
    if len(complete) == 1:
        one = bootstrap_ci(complete.to_numpy()[0], fraction=True, resamples=_FEW_RESAMPLES)
        equal = "all scores are equal" if complete.shape[1] > 1 else "only 1 patient"
        reason = None if one.estimate_t_ci is not None else equal
        return Estimate(*number, one.estimate, one.estimate_t_ci, reason)
    several = seed_case_mean(complete.to_numpy(), fraction=True)
    return Estimate(*number, several.mean, several.mean_ci, several.reason)


def difference(first: pd.DataFrame, second: pd.DataFrame, structure: str) -> Estimate:
    """Return the mean DSS of the first rows minus that of the second ones, on the same patients and seeds."""
    one, other = grid(first, structure), grid(second, structure)
    seeds = [seed for seed in one.index if seed in other.index]
    patients = one.columns.union(other.columns)
    one, other = (table.reindex(index=seeds, columns=patients) for table in (one, other))
    kept = patients[~(one.isna() | other.isna()).any(axis="index")]
    number = (len(seeds), len(kept), len(patients) - len(kept))
    if not len(kept) or not seeds:
        return Estimate(*number, None, None, "no patient has scores of both")
    values, others = one[kept].to_numpy(), other[kept].to_numpy()
    if len(seeds) == 1:
        paired = bland_altman(values[0], others[0])
        ci = None if paired.intervals is None else paired.intervals.bias_ci
        return Estimate(*number, paired.bias, ci, None if ci is not None else paired.reason)
    found = seed_case_difference(values, others)
    return Estimate(*number, found.difference, found.difference_ci, found.reason)


def arm_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each arm, size and structure: DSS, worst case, empty cases, HD95, volume bias and LOA."""
    rows = []
    for (arm, size), part in scores.groupby(["arm", "size"], sort=False):
        for structure in STRUCTURES:
            row = {"arm": arm, "size": size, "structure": structure, **mean_dss(part, structure).columns("dss")}
            rows.append(row | (_of_cases(part[part["structure"] == structure]) if structure != BOTH else {}))
    return pd.DataFrame(rows)


def _of_cases(rows: pd.DataFrame) -> dict[str, object]:
    """Return the worst case, numbers of cases without a segmentation, the mean HD95, and the agreement of volumes."""
    scored = rows.dropna(subset=["dss"])
    worst = None if scored.empty else scored.loc[scored["dss"].idxmin()]
    present = rows[rows["reference_cm3"] > 0]
    distances = present["hd95_mm"].dropna()
    volumes = bland_altman(
        rows["volume_cm3"].to_numpy(float),
        rows["reference_cm3"].to_numpy(float),
        scale="percent",
        clusters=[*rows["patient_id"]],
    )
    return {
        "worst_dss": None if worst is None else worst["dss"],
        "worst_case": None if worst is None else worst["case_id"],
        "empty": int((present["volume_cm3"] == 0).sum()),
        "not_predicted": int(rows["volume_cm3"].isna().sum()),
        "hd95_mm": distances.mean() if len(distances) else None,
        "hd95_undefined": len(present) - len(distances),
        "volume_bias_pct": volumes.bias,
        "loa_lower_pct": None if volumes.limits is None else volumes.limits.lower,
        "loa_upper_pct": None if volumes.limits is None else volumes.limits.upper,
        "volume_reason": volumes.reason,
    }


def difference_table(scores: pd.DataFrame, sizes: Sequence[int]) -> pd.DataFrame:
    """Return differences of the DSS between arms, first minus second, with 95 % intervals."""
    rows = []
    for first, size, second, other, basis in comparisons(sizes):
        parts = [with_seeds(scores, *one) for one in ((first, size), (second, other))]
        if any(part.empty for part in parts):
            continue
        for structure in STRUCTURES:
            names = {"first": first, "first_size": size, "second": second, "second_size": other, "basis": basis}
            rows.append({**names, "structure": structure, **difference(*parts, structure).columns("difference")})
    return pd.DataFrame(rows)


def comparisons(sizes: Sequence[int]) -> Iterator[tuple[str, int, str, int, str]]:
    """Yield first arm and size, second arm and size, and what is equal.

    >>> [one for one in comparisons([1, 2]) if one[1] != one[3] and one[3]]
    [('start', 1, 'scratch', 2, 'slices')]
    """
    for size in sizes:
        for first, second, basis in PAIRS:
            yield first, size, second, 0 if second == AS_IS else size, basis
        if 2 * size in sizes:
            yield START, size, SCRATCH, 2 * size, "slices"


def with_seeds(scores: pd.DataFrame, arm: str, size: int) -> pd.DataFrame:
    """Return the rows of an arm; the start model as it is has the same ones for each seed, because it has no noise."""
    rows = scores[(scores["arm"] == arm) & (scores["size"] == size)]
    if arm != AS_IS or rows.empty:
        return rows
    return pd.concat([rows.assign(seed=seed) for seed in np.unique(scores["seed"])], ignore_index=True)
