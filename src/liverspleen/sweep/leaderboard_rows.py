"""From the files of a study to the choice, and to one row per configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas

from liverspleen.evaluation.statistics.model_choice import Choice, Confirmed, choose
from liverspleen.evaluation.statistics.seeds_and_cases import SeedCaseMean, seed_case_mean
from liverspleen.organs import ORGAN_KEYS
from liverspleen.sweep.leaderboard_study import StudyFiles

UNFINISHED: Final = (
    "the sweep is not finished: who looks at every step and stops when a difference shows finds too many"
)


@dataclass(frozen=True)
class Row:
    """One configuration; `rank` by its confirmed mean, None if it was not confirmed.

    `search_dss` is the score by which it was picked (the best of its search trials), which is too high for a leader.
    `seconds_per_slice` is the mean of its finished trials.
    """

    rank: int | None
    configuration: str
    values: tuple[str, ...]
    n_seeds: int
    n_failed: int
    confirmed: Confirmed | None
    volume_bias_pct: dict[str, SeedCaseMean]
    seconds_per_slice: float | None
    search_dss: float | None


def choice_of(study: StudyFiles) -> Choice | None:
    """The choice among the confirmed configurations; None if no confirmation has ended.

    The score of a case is the mean DSS of its organs, of those that have a DSS in every run. A confirmation run that
    failed counts as a run without score. While the sweep is not finished there is no winner.
    """
    ended = study.phase("confirm", "complete")
    if ended.empty:
        return None
    failed = study.phase("confirm", "failed")
    scores, gaps = _scores(study, ended)
    lost = pandas.DataFrame(
        [
            (configuration, seed, case, np.nan)
            for configuration, seed in sorted(set(_runs(failed)) - set(_runs(ended)))
            if configuration in set(ended["configuration"])
            for case in scores["case_id"].unique()
        ],
        columns=scores.columns,
    )
    conditions = dict(zip(study.cases["case_id"], study.cases["condition"], strict=True))
    found = choose(pandas.concat([scores, lost]) if len(lost) else scores, conditions=conditions)
    found = replace(found, cautions=(*found.cautions, *gaps))
    if study.finished:
        return found
    everyone = tuple(one.configuration for one in found.configurations)
    return replace(found, decision="no difference shown", winner=None, not_shown_worse=everyone, reason=UNFINISHED)


def rows_of(study: StudyFiles, choice: Choice | None) -> list[Row]:
    """One row per configuration: confirmed ones by their mean, then the others by their search score."""
    confirmed = {one.configuration: rank for rank, one in enumerate(choice.configurations, 1)} if choice else {}
    names = list(dict.fromkeys(study.trials["configuration"]))
    rows = [_row(study, choice, name, confirmed.get(name)) for name in names]
    last = len(rows) + 1
    return sorted(rows, key=lambda row: (row.rank or last, row.search_dss is None, -(row.search_dss or 0.0)))


def pareto(study: StudyFiles) -> list[int]:
    """Numbers of the complete search trials that no other one is at least as good as in every objective, and better.

    A trial without one of the objectives is not among them.
    """
    trials = study.phase("search", "complete")
    columns = [_objective(trials, name) for name in study.objectives]
    values = np.column_stack(columns) if columns else np.empty((len(trials), 0))
    defined = ~np.isnan(values).any(axis=1)
    values, numbers = values[defined], trials["number"].to_numpy()[defined]
    beaten = [bool(((values >= one).all(axis=1) & (values > one).any(axis=1)).any()) for one in values]
    return [int(number) for number, is_beaten in zip(numbers, beaten, strict=True) if not is_beaten]


def _objective(trials: pandas.DataFrame, name: str) -> np.ndarray:
    """An objective so that more is better."""
    if name == "dss":
        return trials["dss"].to_numpy()
    column = {"volume_bias": "volume_bias_pct"}.get(name, name)
    return -np.abs(trials[column].to_numpy()) if column in trials else np.full(len(trials), np.nan)


def _runs(trials: pandas.DataFrame) -> list[tuple[str, str]]:
    return list(zip(trials["configuration"], trials["seed"], strict=True))


def _scores(study: StudyFiles, ended: pandas.DataFrame) -> tuple[pandas.DataFrame, tuple[str, ...]]:
    """Configuration, seed, case and score of the runs; and which organs of which cases take no part."""
    rows = study.cases.merge(ended[["number", "configuration", "seed"]], on="number")
    wide = rows.pivot_table(
        index=["configuration", "seed"], columns=["case_id", "structure"], values="dss", dropna=False
    )
    complete = wide.notna().all()
    gaps = [f"{case} ({structure})" for case, structure in complete[~complete & wide.notna().any()].index]
    kept = wide.where(complete, axis="columns").T.groupby(level="case_id").mean().T
    scores = kept.reset_index().melt(id_vars=["configuration", "seed"], var_name="case_id", value_name="score")
    said = f"organs without a DSS in some run, left out of the mean of their case: {', '.join(gaps)}"
    return scores, (said,) if gaps else ()


def _row(study: StudyFiles, choice: Choice | None, name: str, rank: int | None) -> Row:
    own = study.trials[study.trials["configuration"] == name]
    ended = own[own["state"] == "complete"]
    confirm = ended[ended["phase"] == "confirm"]
    found = next((one for one in choice.configurations if one.configuration == name), None) if choice else None
    timed = (confirm if len(confirm) else ended)["seconds_per_slice"].dropna()
    search = ended[ended["phase"] == "search"]["dss"]
    return Row(
        rank=rank,
        configuration=name,
        values=tuple(str(own.iloc[0][axis.name]) if axis.name in own else "" for axis in study.axes),
        n_seeds=len(confirm),
        n_failed=int((own["state"] == "failed").sum()),
        confirmed=found,
        volume_bias_pct={organ: _bias(study, confirm["number"].tolist(), organ) for organ in ORGAN_KEYS},
        seconds_per_slice=float(timed.mean()) if len(timed) else None,
        search_dss=None if search.isna().all() else float(search.max()),
    )


def _bias(study: StudyFiles, numbers: Sequence[int], organ: str) -> SeedCaseMean:
    """Mean of 200 (predicted - reference) / (predicted + reference) over runs and cases, undefined for two zeros."""
    rows = study.cases[study.cases["number"].isin(numbers) & (study.cases["structure"] == organ)]
    predicted, reference = rows["volume_cm3"], rows["reference_cm3"]
    total = predicted + reference
    percent = (200 * (predicted - reference) / total.where(total > 0)).rename("percent")
    wide = rows.assign(percent=percent).pivot_table(index="number", columns="case_id", values="percent", dropna=False)
    return seed_case_mean(wide.to_numpy(dtype=np.float64).reshape(wide.shape))
