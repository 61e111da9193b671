"""Scores of the trainings, differences of the arms from the base, and the decision about each factor.

All intervals are those of `liverspleen.evaluation`: they are for other seeds and other patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
from plan import BASE, CHANGES, PATIENTS, PHANTOMS

from liverspleen.evaluation import Interval
from liverspleen.evaluation.statistics.intervals import CONFIDENCE
from liverspleen.evaluation.statistics.seeds_and_cases import seed_case_difference, seed_case_mean
from liverspleen.organs import ORGAN_KEYS

BOTH: Final = "both"
"""The mean of all organs of a case."""

STRUCTURES: Final = (*ORGAN_KEYS, BOTH)

SIMULTANEOUS: Final = 1 - (1 - CONFIDENCE) / len(CHANGES)
"""Confidence of each interval that gives all comparisons of a structure together 95 % (Bonferroni)."""

BETTER, WORSE, NONE, UNDEFINED = "better", "worse", "no difference shown", "undefined"
"""Verdicts about an arm in a part."""

COLUMNS: Final = (
    *("arm", "factor", "structure", "seeds", "patients", "excluded", "dss", "dss_lower", "dss_upper"),
    *("compared", "difference", "difference_lower", "difference_upper", "simultaneous_lower", "simultaneous_upper"),
    *("verdict", "reason", "worst_dss", "worst_case", "empty", "absent_predicted", "tests", "failed", "step_s"),
)
"""Columns of arms.csv; `part` follows."""

CHANGED, UNCHANGED, UNDECIDED = "passes to the confirmation", "stays as in the base", "not decided"
"""Decisions about a factor."""


def read_trials(folder: Path) -> pd.DataFrame:
    """Return number, arm, seed, state, reason and seconds per step of each trial of a sweep."""
    trials = pd.read_csv(folder / "trials.csv", dtype={"reason": str}, keep_default_na=False)
    names = {arm.experiment: arm.name for arm in (BASE, *CHANGES)}
    return pd.DataFrame(
        {
            "number": trials["number"],
            "arm": trials["experiment"].map(names),
            "seed": trials["seed"],
            "state": trials["state"],
            "reason": trials["reason"],
            "step_s": [seconds_per_step(folder / "trials" / f"{number:04d}") for number in trials["number"]],
        }
    )


def seconds_per_step(folder: Path) -> float | None:
    """Return the wall time of a step, without start and test; mean over the folds. None if nothing was recorded."""
    found = []
    for file in sorted(folder.rglob("metrics.csv")):
        table = pd.read_csv(file)
        rows = table[table["metric"] == "train/loss"].dropna(subset=["time_s"])
        if len(rows):
            found.append(float(rows["time_s"].iloc[-1]) / (int(rows["step"].iloc[-1]) + 1))
    return sum(found) / len(found) if found else None


def read_scores(folder: Path, trials: pd.DataFrame, patients: Mapping[str, str]) -> pd.DataFrame:
    """Return a row for each complete trial, test case and organ, with arm, seed and patient."""
    cases = pd.read_csv(folder / "trial_cases.csv", dtype={"case_id": str})
    found = cases.merge(trials[["number", "arm", "seed"]], on="number")
    columns = ["arm", "seed", "case_id", "patient_id", "structure", "dss", "volume_cm3", "reference_cm3"]
    return found.assign(patient_id=found["case_id"].map(patients))[columns]


def grid(rows: pd.DataFrame, structure: str) -> pd.DataFrame:
    """Return the DSS as a table of seeds × patients, with the mean of a patient's examinations; NaN is undefined."""
    wide = rows.pivot(index=["seed", "patient_id", "case_id"], columns="structure", values="dss")
    organs = [*ORGAN_KEYS] if structure == BOTH else [structure]
    values = wide.reindex(columns=organs).mean(axis=1, skipna=False)
    return values.groupby(level=["seed", "patient_id"]).mean().unstack("patient_id")


def summarised(scores: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each arm and structure: mean DSS, difference from the base, worst case, counts, time."""
    rows = []
    base = scores[scores["arm"] == BASE.name]
    for arm in (BASE, *CHANGES):
        own, runs = scores[scores["arm"] == arm.name], trials[trials["arm"] == arm.name]
        for structure in STRUCTURES:
            row: dict[str, Any] = {"arm": arm.name, "factor": arm.factor, "structure": structure}
            row |= _mean(own, structure)
            row |= {} if arm == BASE else difference(own, base, structure)
            row |= {} if structure == BOTH else _counts(own[own["structure"] == structure])
            rows.append(row | {"failed": int((runs["state"] != "complete").sum()), "step_s": runs["step_s"].median()})
    return pd.DataFrame(rows, columns=COLUMNS)


def _mean(rows: pd.DataFrame, structure: str) -> dict[str, Any]:
    if rows.empty:
        return {"seeds": 0, "patients": 0, "excluded": 0}
    found = seed_case_mean(grid(rows, structure).to_numpy(float), fraction=True)
    return {
        "seeds": found.n_seeds,
        "patients": found.n_cases,
        "excluded": found.n_cases_left_out,
        "dss": found.mean,
        **_limits("dss", found.mean_ci),
    }


def difference(own: pd.DataFrame, base: pd.DataFrame, structure: str) -> dict[str, Any]:
    """Return the mean DSS minus that of the base on the same patients, both intervals and the verdict."""
    if own.empty or base.empty:
        return {"verdict": UNDEFINED, "reason": "no training is complete"}
    one, other = grid(own, structure), grid(base, structure)
    patients = one.columns.union(other.columns)
    one, other = one.reindex(columns=patients), other.reindex(columns=patients)
    kept = patients[one.notna().all() & other.notna().all()]
    if kept.empty:
        return {"verdict": UNDEFINED, "reason": "no patient has a score in every training"}
    tables = one[kept].to_numpy(float), other[kept].to_numpy(float)
    found = seed_case_difference(*tables)
    return {
        "compared": len(kept),
        "difference": found.difference,
        **_limits("difference", found.difference_ci),
        **_limits("simultaneous", seed_case_difference(*tables, confidence=SIMULTANEOUS).difference_ci),
        "verdict": verdict(found.difference_ci),
        "reason": found.reason,
    }


def verdict(ci: Interval | None) -> str:
    """Return what an interval of a difference from the base shows.

    >>> [verdict(Interval(*one)) for one in ((0.01, 0.03), (-0.03, -0.01), (-0.01, 0.03), (0.0, 0.03))]
    ['better', 'worse', 'no difference shown', 'no difference shown']
    """
    if ci is None:
        return UNDEFINED
    return BETTER if ci.lower > 0 else WORSE if ci.upper < 0 else NONE


def _limits(name: str, ci: Interval | None) -> dict[str, float | None]:
    return {f"{name}_{side}": None if ci is None else getattr(ci, side) for side in ("lower", "upper")}


def _counts(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the worst case and the numbers of test results without a segmentation, or with one of an absent organ."""
    scored = rows.dropna(subset=["dss"])
    worst = None if scored.empty else scored.loc[scored["dss"].idxmin()]
    present, predicted = rows["reference_cm3"] > 0, rows["volume_cm3"] > 0
    return {
        "worst_dss": None if worst is None else worst["dss"],
        "worst_case": None if worst is None else worst["case_id"],
        "empty": int((present & ~predicted).sum()),
        "absent_predicted": int((~present & predicted).sum()),
        "tests": len(rows),
    }


def decisions(arms: pd.DataFrame) -> dict[str, str]:
    """Return the decision about each arm, by the rule that README.md states.

    It needs the mean of both organs in both parts: better in one, and not worse in the other.
    """
    parts = arms[arms["structure"] == BOTH].pivot(index="arm", columns="part", values="verdict")
    return {
        arm.name: _decision({part: parts.get(part, {}).get(arm.name) for part in (PHANTOMS, PATIENTS)})
        for arm in CHANGES
    }


def _decision(verdicts: Mapping[str, str | None]) -> str:
    found = {*verdicts.values()}
    if WORSE in found or found == {NONE}:
        return UNCHANGED
    return UNDECIDED if found & {None, UNDEFINED} else CHANGED
