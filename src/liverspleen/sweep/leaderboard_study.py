"""The files of a study, read for the leaderboard, and its choice and rows; the study may be unfinished."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.statistics.model_choice import Choice, Confirmed, choose
from liverspleen.evaluation.statistics.seeds_and_cases import SeedCaseMean, seed_case_mean
from liverspleen.organs import ORGAN_KEYS
from liverspleen.sweep.tables import CASE_COLUMNS, FIXED

_NUMBERS: Final = ("seconds", *FIXED[FIXED.index("dss") :])
UNFINISHED: Final = (
    "the sweep is not finished: a test that is repeated until it shows a difference shows too many differences"
)


@dataclass(frozen=True)
class Axis:
    """A searched parameter: its `choices` in order, or a range with `limits`, which may be `log` or `whole` numbers."""

    name: str
    choices: tuple[str, ...] = ()
    log: bool = False
    whole: bool = False
    limits: tuple[float, float] | None = None

    def value(self, text: str) -> str | float | None:
        """A value of `trials.csv`: a choice as text, a number of a range as float; None for an empty field."""
        if not text:
            return None
        return text if self.choices else _number(text)


@dataclass(frozen=True)
class StudyFiles:
    """A study as it is now: `trials` and `cases` as in the files, numbers as float64 with NaN for undefined."""

    name: str
    objectives: tuple[str, ...]
    planned_trials: int
    leaders: int
    seeds: int
    sampler: str
    axes: tuple[Axis, ...]
    trials: pandas.DataFrame
    cases: pandas.DataFrame

    def phase(self, phase: str, *states: str) -> pandas.DataFrame:
        """Trials of a phase, in the order of their numbers, of these states or of all."""
        rows = self.trials[self.trials["phase"] == phase]
        return rows[rows["state"].isin(states)] if states else rows

    @property
    def n_searched(self) -> int:
        """Finished trials of the search; pruned trials count, because their result is known."""
        return len(self.phase("search", "complete", "pruned"))

    @property
    def n_confirmed(self) -> int:
        """Finished trainings of the confirmation of the leaders."""
        return int(self.phase("confirm", "complete")["configuration"].isin(self._leaders).sum())

    @property
    def n_to_confirm(self) -> int:
        """Planned trainings of the confirmation; fewer if the search found fewer configurations than `leaders`."""
        found = self.phase("search", "complete")["configuration"].nunique()
        return (min(self.leaders, found) if self.searched else self.leaders) * self.seeds

    @property
    def searched(self) -> bool:
        """Whether the search is finished; a failed point of a grid is not tried again."""
        if self.sampler != "grid":
            return self.n_searched >= self.planned_trials
        tried = len(self.phase("search", "complete", "pruned", "failed"))
        return tried >= self.planned_trials or not self.phase("confirm").empty

    @property
    def confirmed(self) -> bool:
        """Whether all leaders have all their seeds, and none is being trained.

        Former leaders, which a longer search has replaced, are ignored.
        """
        counts = self.phase("confirm", "complete")["configuration"].value_counts()
        enough = all(counts.get(name, 0) >= self.seeds for name in self._leaders)
        return self.searched and enough and self.phase("confirm", "running", "interrupted").empty

    @property
    def finished(self) -> bool:
        """Whether search and confirmation are finished."""
        return self.searched and self.confirmed

    @property
    def _leaders(self) -> list[str]:
        """The configurations to confirm: the best scores in the first objective, ranked as the workers rank them."""
        name = self.objectives[0] if self.objectives else "dss"
        trials = self.phase("search", "complete")
        scores = trials[{"volume_bias": "volume_bias_pct"}.get(name, name)]
        badness = -scores if name == "dss" else scores.abs()
        ordered = trials.assign(badness=badness).sort_values(["badness", "number"])
        return list(dict.fromkeys(ordered["configuration"]))[: self.leaders]


def read_study(folder: Path) -> StudyFiles:
    """The study in a folder; without `trials.csv` or `trial_cases.csv` it has no trials yet.

    Raises:
        InputError: LS-SWP-020, there is no study; LS-SWP-021, a table cannot be read.
    """
    file = folder / "study.json"
    hint = "give the output= folder of a sweep"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        search = about.get("search") or {}
        trials = _table(folder / "trials.csv", FIXED)
        return StudyFiles(
            name=str(about["study"]),
            objectives=tuple(map(str, about["objectives"])),
            planned_trials=int(about["trials"]),
            leaders=int(about["leaders"]),
            seeds=int(about["seeds"]),
            sampler=str(search.get("sampler", "")),
            axes=_axes(search.get("parameters") or {}, trials),
            trials=_numbered(trials, _NUMBERS),
            cases=_numbered(_table(folder / "trial_cases.csv", CASE_COLUMNS), ("dss", "volume_cm3", "reference_cm3")),
        )
    except OSError as error:
        raise InputError(Issue("LS-SWP-020", f"cannot be read: {error.strerror}", hint, file=file)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(Issue("LS-SWP-020", f"does not describe a study: {error}", hint, file=file)) from error


def _table(file: Path, columns: Sequence[str]) -> pandas.DataFrame:
    """A table as text, sorted by the number of the trial; empty if there is no such file."""
    if not file.exists():
        return pandas.DataFrame(columns=list(columns), dtype="str")
    try:
        with file.open(encoding="utf-8", newline="") as handle:
            header, *rows = csv.reader(handle, strict=True)
        table = pandas.DataFrame(rows, columns=header, dtype="str")
        if missing := [name for name in columns if name not in header]:
            raise ValueError(f"no column {', '.join(missing)}")
        return table.assign(number=table["number"].astype(int)).sort_values("number", ignore_index=True)
    except (ValueError, csv.Error) as error:
        hint = "run the command of the sweep again, which writes the file"
        raise InputError(Issue("LS-SWP-021", f"cannot be read: {error}", hint, file=file)) from error


def _numbered(table: pandas.DataFrame, columns: Sequence[str]) -> pandas.DataFrame:
    return table.assign(**{name: table[name].map(_number).astype("float64") for name in columns})


def _number(text: str) -> float:
    """A finite number, NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _axes(parameters: Mapping[str, Any], trials: pandas.DataFrame) -> tuple[Axis, ...]:
    """The parameters as the study describes them; other parameters are choices among the values of the trials."""
    names = [*(name for name in trials.columns if name not in FIXED)] or list(parameters)
    return tuple(_axis(name, parameters.get(name), trials) for name in names)


def _axis(name: str, written: Any, trials: pandas.DataFrame) -> Axis:
    if isinstance(written, Mapping) and {"low", "high"} <= written.keys():
        low, high = written["low"], written["high"]
        whole = isinstance(low, int) and isinstance(high, int)
        return Axis(name, log=bool(written.get("log")), whole=whole, limits=(float(low), float(high)))
    listed = [str(one) for one in written] if isinstance(written, list) else []
    tried = [text for text in trials[name] if text] if name in trials else []
    return Axis(name, choices=tuple(dict.fromkeys([*listed, *tried])) or ("",))


@dataclass(frozen=True)
class Row:
    """One configuration; `rank` is by its confirmed mean, None if it was not confirmed.

    `search_dss` is the best score of its search trials. For a leader it is too high, because it selected the leader.
    `seconds_per_slice` is the mean of its finished trials.
    """

    rank: int | None
    configuration: str
    parameters: dict[str, str]
    n_seeds: int
    n_failed: int
    confirmed: Confirmed | None
    volume_bias_pct: dict[str, SeedCaseMean]
    seconds_per_slice: float | None
    search_dss: float | None


def choice_of(study: StudyFiles) -> Choice | None:
    """The choice among the confirmed configurations; None if no confirmation has ended.

    The score of a case is the mean DSS of its organs that have a DSS in every run. A failed confirmation run counts as
    a run without a score. An unfinished sweep has no winner.
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
    """One row per configuration: the confirmed ones by their mean, then the others by their search score."""
    confirmed = {one.configuration: rank for rank, one in enumerate(choice.configurations, 1)} if choice else {}
    names = list(dict.fromkeys(study.trials["configuration"]))
    rows = [_row(study, choice, name, confirmed.get(name)) for name in names]
    last = len(rows) + 1
    return sorted(rows, key=lambda row: (row.rank or last, row.search_dss is None, -(row.search_dss or 0.0)))


def pareto(study: StudyFiles) -> list[int]:
    """Numbers of the complete search trials that no other trial dominates.

    A trial dominates another if it is at least as good in every objective and better in one. Trials in which an
    objective is undefined are excluded.
    """
    trials = study.phase("search", "complete")
    columns = [_objective(trials, name) for name in study.objectives]
    values = np.column_stack(columns) if columns else np.empty((len(trials), 0))
    defined = ~np.isnan(values).any(axis=1)
    values, numbers = values[defined], trials["number"].to_numpy()[defined]
    beaten = [bool(((values >= one).all(axis=1) & (values > one).any(axis=1)).any()) for one in values]
    return [int(number) for number, is_beaten in zip(numbers, beaten, strict=True) if not is_beaten]


def _objective(trials: pandas.DataFrame, name: str) -> np.ndarray:
    """An objective, negated where smaller is better."""
    if name == "dss":
        return trials["dss"].to_numpy()
    column = {"volume_bias": "volume_bias_pct"}.get(name, name)
    return -np.abs(trials[column].to_numpy()) if column in trials else np.full(len(trials), np.nan)


def _runs(trials: pandas.DataFrame) -> list[tuple[str, str]]:
    return list(zip(trials["configuration"], trials["seed"], strict=True))


def _scores(study: StudyFiles, ended: pandas.DataFrame) -> tuple[pandas.DataFrame, tuple[str, ...]]:
    """Configuration, seed, case and score of the runs; and a note on the organs that are excluded from the scores."""
    rows = study.cases.merge(ended[["number", "configuration", "seed"]], on="number")
    wide = rows.pivot_table(
        index=["configuration", "seed"], columns=["case_id", "structure"], values="dss", dropna=False
    )
    complete = wide.notna().all()
    gaps = [f"{case} ({structure})" for case, structure in complete[~complete & wide.notna().any()].index]
    kept = wide.where(complete, axis="columns").T.groupby(level="case_id").mean().T
    scores = kept.reset_index().melt(id_vars=["configuration", "seed"], var_name="case_id", value_name="score")
    note = f"organs without a DSS in at least one run, excluded from the mean of their case: {', '.join(gaps)}"
    return scores, (note,) if gaps else ()


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
        parameters={axis.name: str(own.iloc[0][axis.name]) if axis.name in own else "" for axis in study.axes},
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
