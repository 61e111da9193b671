"""Read the files of a study, which may be unfinished, and compute the choice and the rows of the leaderboard."""

from __future__ import annotations

import csv
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
from liverspleen.reading import read_csv
from liverspleen.records import read_record
from liverspleen.sweep.tables import ADDED, CASE_COLUMNS, FIXED

_NUMBERS: Final = ("seconds", *FIXED[FIXED.index("dss") :])
UNFINISHED: Final = (
    "the sweep is not finished, and a test that is repeated until it shows a difference shows too many differences"
)


LEARNT_DSS: Final = 0.1
"""Mean DSS below which a configuration has learnt nothing; an empty prediction has 0, and a useful one far more."""

NOTHING_LEARNT: Final = "no configuration has learnt anything"


@dataclass(frozen=True)
class Axis:
    """A searched parameter: its `choices` in order, or a range with `limits`, which may be `log` or `whole` numbers."""

    name: str
    choices: tuple[str, ...] = ()
    log: bool = False
    whole: bool = False
    limits: tuple[float, float] | None = None

    def value(self, text: str) -> str | float | None:
        """Return a value of `trials.csv`: a choice as text, a number of a range as float, None for an empty field."""
        if not text:
            return None
        return text if self.choices else _number(text)


@dataclass(frozen=True)
class StudyFiles:
    """The files of a study; numbers of `trials` and `cases` are float64, with NaN for undefined."""

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
        """Return the trials of a phase by number, with one of these states or with any."""
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
        """Whether the search is finished; a failed point of a grid is not repeated."""
        if self.sampler != "grid":
            return self.n_searched >= self.planned_trials
        tried = len(self.phase("search", "complete", "pruned", "failed"))
        return tried >= self.planned_trials or not self.phase("confirm").empty

    @property
    def confirmed(self) -> bool:
        """Whether all leaders have all their seeds, and no confirmation trial is open.

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
        """Configurations with the best scores in the first objective, in the order of `plan.leaders`."""
        name = self.objectives[0] if self.objectives else "dss"
        trials = self.phase("search", "complete")
        scores = trials[{"volume_bias": "volume_bias_pct"}.get(name, name)]
        badness = -scores if name == "dss" else scores.abs()
        ordered = trials.assign(badness=badness).sort_values(["badness", "number"])
        return list(dict.fromkeys(ordered["configuration"]))[: self.leaders]


def read_study(folder: Path) -> StudyFiles:
    """Read the study in a folder; without `trials.csv` or `trial_cases.csv` it has no trials yet.

    Raises:
        InputError: LS-SWP-020, there is no study; LS-SWP-021, a table cannot be read.
    """
    file = folder / "study.json"
    hint = "give the output= folder of a sweep; if its study.json is damaged, run the same sweep again"
    try:
        content = _typed(read_record(file, required=False))
        search = content.get("search") or {}
        trials = _table(folder / "trials.csv", FIXED)
        return StudyFiles(
            name=str(content["study"]),
            objectives=tuple(map(str, content["objectives"])),
            planned_trials=int(content["trials"]),
            leaders=int(content["leaders"]),
            seeds=int(content["seeds"]),
            sampler=str(search.get("sampler", "")),
            axes=_axes(search.get("parameters") or {}, trials),
            trials=_numbered(trials, _NUMBERS),
            cases=_numbered(_table(folder / "trial_cases.csv", CASE_COLUMNS), ("dss", "volume_cm3", "reference_cm3")),
        )
    except OSError as error:
        raise InputError(Issue("LS-SWP-020", f"cannot be read: {error.strerror}", hint, file=file)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(Issue("LS-SWP-020", f"does not describe a study: {error}", hint, file=file)) from error


def _typed(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content unchanged; raises ValueError for a value of another type than `study.json` has."""
    for name, kind in (("study", str), ("objectives", list), ("trials", int), ("leaders", int), ("seeds", int)):
        if not isinstance(content[name], kind):
            raise ValueError(f"{name} is {content[name]!r:.40}")
    return content


def _table(file: Path, columns: Sequence[str]) -> pandas.DataFrame:
    """Read a table as text, sorted by the number of the trial; empty if there is no such file."""
    if not file.exists():
        return pandas.DataFrame(columns=list(columns), dtype="str")
    try:
        header, *rows = read_csv(file)
        table = pandas.DataFrame(rows, columns=header, dtype="str")
        table = table.assign(**{name: "" for name in ADDED if name in columns and name not in header})
        if missing := [name for name in columns if name not in table]:
            raise ValueError(f"no column {', '.join(missing)}")
        return table.assign(number=table["number"].astype(int)).sort_values("number", ignore_index=True)
    except (ValueError, csv.Error) as error:
        hint = "run the command of the sweep again, which writes the file"
        raise InputError(Issue("LS-SWP-021", f"cannot be read: {error}", hint, file=file)) from error


def _numbered(table: pandas.DataFrame, columns: Sequence[str]) -> pandas.DataFrame:
    return table.assign(**{name: table[name].map(_number).astype("float64") for name in columns})


def _number(text: str) -> float:
    """Return a finite number, and NaN for any other text."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _axes(parameters: Mapping[str, Any], trials: pandas.DataFrame) -> tuple[Axis, ...]:
    """Return the parameters of the study; one that it does not describe has the values of the trials as choices."""
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
    """Return the choice among the confirmed configurations; None if no confirmation trial is complete.

    The score of a case is the mean DSS of its organs that have a DSS in every run. A failed confirmation run counts as
    a run without a score. There is no winner in an unfinished sweep, or if the highest mean is below 0.1.
    """
    completed = study.phase("confirm", "complete")
    if completed.empty:
        return None
    failed = study.phase("confirm", "failed")
    scores, gaps = _scores(study, completed)
    missing = pandas.DataFrame(
        [
            (configuration, seed, case, np.nan)
            for configuration, seed in sorted(set(_runs(failed)) - set(_runs(completed)))
            if configuration in set(completed["configuration"])
            for case in scores["case_id"].unique()
        ],
        columns=scores.columns,
    )
    conditions = dict(zip(study.cases["case_id"], study.cases["condition"], strict=True))
    found = choose(pandas.concat([scores, missing]) if len(missing) else scores, conditions=conditions, fraction=True)
    found = replace(found, cautions=(*found.cautions, *gaps))
    means = [one.mean for one in found.configurations if one.mean is not None]
    learnt = not means or max(means) >= LEARNT_DSS
    if study.finished and learnt:
        return found
    leaders = tuple(one.configuration for one in found.configurations)
    reason = UNFINISHED if learnt else NOTHING_LEARNT
    return replace(found, decision="no difference shown", winner=None, not_shown_worse=leaders, reason=reason)


def rows_of(study: StudyFiles, choice: Choice | None) -> list[Row]:
    """Return one row per configuration: confirmed ones by their mean, then the others by their search score."""
    confirmed = {one.configuration: rank for rank, one in enumerate(choice.configurations, 1)} if choice else {}
    names = list(dict.fromkeys(study.trials["configuration"]))
    rows = [_row(study, choice, name, confirmed.get(name)) for name in names]
    last = len(rows) + 1
    return sorted(rows, key=lambda row: (row.rank or last, row.search_dss is None, -(row.search_dss or 0.0)))


def pareto(study: StudyFiles) -> list[int]:
    """Return the numbers of the complete search trials that no other trial dominates.

    A trial dominates another if it is at least as good in every objective and better in one. Trials in which an
    objective is undefined are excluded.
    """
    trials = study.phase("search", "complete")
    columns = [_objective(trials, name) for name in study.objectives]
    values = np.column_stack(columns) if columns else np.empty((len(trials), 0))
    defined = ~np.isnan(values).any(axis=1)
    values, numbers = values[defined], trials["number"].to_numpy()[defined]
    dominated = [bool(((values >= one).all(axis=1) & (values > one).any(axis=1)).any()) for one in values]
    return [int(number) for number, worse in zip(numbers, dominated, strict=True) if not worse]


def _objective(trials: pandas.DataFrame, name: str) -> np.ndarray:
    """Return an objective, negated if smaller is better."""
    if name == "dss":
        return trials["dss"].to_numpy()
    column = {"volume_bias": "volume_bias_pct"}.get(name, name)
    return -np.abs(trials[column].to_numpy()) if column in trials else np.full(len(trials), np.nan)


def _runs(trials: pandas.DataFrame) -> list[tuple[str, str]]:
    return list(zip(trials["configuration"], trials["seed"], strict=True))


def _scores(study: StudyFiles, completed: pandas.DataFrame) -> tuple[pandas.DataFrame, tuple[str, ...]]:
    """Return configuration, seed, case and score of the runs, and a note on organs excluded from the scores."""
    rows = study.cases.merge(completed[["number", "configuration", "seed"]], on="number")
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
    completed = own[own["state"] == "complete"]
    confirm = completed[completed["phase"] == "confirm"]
    found = next((one for one in choice.configurations if one.configuration == name), None) if choice else None
    timed = (confirm if len(confirm) else completed)["seconds_per_slice"].dropna()
    search = completed[completed["phase"] == "search"]["dss"]
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
    """Return the mean of 200 (predicted - reference) / (predicted + reference); undefined if both are 0."""
    rows = study.cases[study.cases["number"].isin(numbers) & (study.cases["structure"] == organ)]
    predicted, reference = rows["volume_cm3"], rows["reference_cm3"]
    total = predicted + reference
    percent = (200 * (predicted - reference) / total.where(total > 0)).rename("percent")
    wide = rows.assign(percent=percent).pivot_table(index="number", columns="case_id", values="percent", dropna=False)
    return seed_case_mean(wide.to_numpy(dtype=np.float64).reshape(wide.shape))
